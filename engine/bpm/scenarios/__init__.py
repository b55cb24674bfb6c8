"""Scenarios (场景): the stories of a process folder, played through the same commands that a person's tap runs.

`scenarios.yaml` is a list of stories. A story starts an instance as a member of the demo cast, acts and expects, and
ends in a state. The worker's jobs run after every act; the clock stands still unless the story moves it. What a story
leaves running is terminated, so that stories don't disturb one another. processes/README.md describes the vocabulary.
"""

from engine.bpm.scenarios.playing import Report, Result, run
from engine.bpm.scenarios.stories import Story, load

__all__ = ["Report", "Result", "Story", "load", "run"]
