"""Every instant at which a crash is interesting, by name: tests stop the process there, or break its disk.

`reached(NAME)` is an audit event of Python's own: some thirty nanoseconds where nobody listens, and nothing to switch on by
mistake. A test listens with `sys.addaudithook` in a process that it may kill. What stands at each point is true when it is
passed; a test fails where a point is never passed, or passed without being listed here.
"""

import sys

reached = sys.audit

POINTS = {
    "preceptor.journal.locked": "the folder is ours, the journal not yet opened",
    "preceptor.journal.opened": "the journal is open, its tables may be missing",
    "preceptor.journal.tables": "the tables are there, the epoch is not yet raised",
    "preceptor.journal.begin": "the epoch is about to be raised, and what the last one owed to be charged",
    "preceptor.journal.begun": "the epoch is raised",
    "preceptor.journal.gathered": "a group of puts is taken from the queue",
    "preceptor.journal.transaction": "its transaction is open",
    "preceptor.journal.half": "one put of the group is written, not committed",
    "preceptor.journal.written": "all of the group is written, not committed",
    "preceptor.journal.committed": "the group is on the disk, nobody knows yet",
    "preceptor.journal.told": "whoever waited for the group has been told",
    "preceptor.journal.closing": "the queue is written, the epoch still open",
    "preceptor.journal.closed": "the epoch is closed, the log not yet folded into the journal",
    "preceptor.journal.folded": "the log is folded in, the lock still held",
    "preceptor.money.raised": "the allowance is on the disk, the call not sent",
    "preceptor.call.sending": "money is set aside, the call not sent",
    "preceptor.call.answered": "the answer is here, not stored",
    "preceptor.call.queued": "the answer waits to be stored",
    "preceptor.call.stored": "the answer is stored, its money not settled",
    "preceptor.use.made": "a tool has answered, nothing is stored",
    "preceptor.items.planned": "a chunk of items is stored as pending",
    "preceptor.item.worked": "an item is worked, nothing of it kept",
    "preceptor.item.kept": "an item is kept, its mark with it",
    "preceptor.item.failed": "an item met a bug, not yet set aside",
    "preceptor.run.left": "all is stored that was in the air, the journal still open",
    "preceptor.fork.copied": "some replies of the source are copied",
    "preceptor.file.begun": "a file is begun aside, empty",
    "preceptor.file.written": "its bytes are written, perhaps not on the disk",
    "preceptor.file.synced": "its bytes are on the disk, aside",
    "preceptor.file.renamed": "it has its name, the folder not yet on the disk",
    "preceptor.file.done": "it is there, whatever happens",
    "preceptor.export.begun": "the rows are read, no file is written",
    "preceptor.export.staged": "every file of the dataset is written aside, with the manifest",
    "preceptor.export.placed": "the new dataset stands in the old one's place, the old one beside it",
    "preceptor.export.moving": "file after file is moved into a folder that holds other things too; the manifest comes last",
    "preceptor.export.done": "nothing of the older dataset is left",
}
"""Name → what is true when it is passed."""
