"""The parts of the module IMIL. Those without Slicer in them can be used, and are tested, in any Python from 3.9."""
