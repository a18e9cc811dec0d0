"""``python -m imil.cli`` does what ``imil`` does."""

from imil.cli.root import main

main()
