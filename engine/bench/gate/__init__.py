"""The regression gate: instructions that the core's hot operations take, counted, and compared with what was accepted.

Instructions are the same from run to run where times differ by ten percent, so two percent more can fail a build.
"""
