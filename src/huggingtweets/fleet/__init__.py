"""Many bots: a list of accounts in, a bot of each out, on the cores, GPUs and nodes there are.

`accounts` reads the list, `driving` decides what is done next, `engine` has it done by Ray's processes, `work` is what
they do: the pipeline's own stages. `ledger` knows how far each bot is, and `shared` where bots live that no disk holds.

What is finished is known from the bots' folders alone. So a fleet that was killed goes on when it is started again.
"""

from huggingtweets.fleet.members import Member

__all__ = ["Member"]
