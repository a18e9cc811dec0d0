"""Training: batches from the pixel cache, feedback modes, the engine, checkpoints and logs."""
