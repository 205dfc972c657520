"""Everything that can go wrong, as a tree: what ends one branch, what ends the run, what is the user's to mend.

PreceptorError
├── UserError            something the user wrote or pointed at is wrong; shown as it is, no traceback
│   ├── RecipeError      a recipe cannot be read or asks for what there is not      exit 2
│   ├── PackError        a skill pack is broken                                     exit 2
│   ├── DocumentError    nothing readable where documents were promised             exit 2
│   └── MissingExtra     a library that an optional part needs is not installed     exit 3
├── RunError             the run stops here; the same command goes on later
│   ├── BudgetSpent      the next call could pass the cap                           exit 4
│   ├── EndpointError    a model cannot be reached, or refuses the key              exit 5
│   ├── ChangedRun       the recipe is not the one this run was started with        exit 6
│   ├── ReplayDiverged   a resumed item asked other things than it had asked        exit 7
│   ├── RunLocked        another process writes this run                            exit 75
│   ├── DiskFull         nothing more can be stored                                 exit 74
│   └── DamagedRun       what is stored is not what was written                     exit 65
├── StepError            ends one branch of one item, which becomes a `Dropped`
│   ├── Declined         the agent said that it cannot be done, and why
│   ├── ReplyError       no usable reply after every attempt
│   └── ToolError        a tool could not do what it was asked
└── Parked               the reply is not there yet (batch); the item waits and is replayed
"""


class PreceptorError(Exception):
    """The root: catch this to catch everything that Preceptor raises on purpose."""

    exit_code = 1


class UserError(PreceptorError):
    """What was asked, what there is, what to type. Printed without a traceback."""

    exit_code = 2


class RecipeError(UserError):
    """A recipe cannot be read, or asks for something that does not exist."""


class PackError(UserError):
    """A skill pack is broken: a file, a line and the mend are in the message."""


class DocumentError(UserError):
    """There is nothing to read where documents were promised."""


class MissingExtra(UserError):
    """An optional library is not installed; the message holds the line that installs it."""

    exit_code = 3


class RunError(PreceptorError):
    """The run stops, with everything finished kept; the same command goes on."""


class BudgetSpent(RunError):
    """The next call's worst case would pass the cap."""

    exit_code = 4


class EndpointError(RunError):
    """A model cannot be reached or refuses to serve us at all (address, key, model name)."""

    exit_code = 5


class ChangedRun(RunError):
    """The recipe, a pack or a check differs from what this run was started with."""

    exit_code = 6


class ReplayDiverged(RunError):
    """A resumed item did not ask for what the journal holds for it: a bug, or text changed under a run."""

    exit_code = 7


class RunLocked(RunError):
    """Another process is writing this run."""

    exit_code = 75


class DiskFull(RunError):
    """The journal or a file cannot be written; nothing was acknowledged that is not stored."""

    exit_code = 74


class DamagedRun(RunError):
    """A disk has changed or lost what was stored; nothing of it is exported. Exit codes 65, 74, 75: as in sysexits.h."""

    exit_code = 65


class StepError(PreceptorError):
    """Ends one branch of one item. Becomes a `Dropped` with this text as its reason."""


class Declined(StepError):
    """The agent answered that its task cannot be done with this material."""


class ReplyError(StepError):
    """No reply that fits the agent's fields, after every attempt."""


class ToolError(StepError):
    """A tool refused or failed; the text says what to do where something can be done."""


class Parked(PreceptorError):
    """The reply is not there yet. Not a failure: the item leaves memory and is replayed when it is."""

    lost = False
    """Whether a batch service lost the request with all that it may have billed; it goes again."""
