-- The tables of a run folder's journal. Raise SCHEMA in journal.py with every change that an older reader would misread.
-- `sum` is a row's checksum (seals.py); rows that were written before there were sums have none.
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One row a paid reply. epoch 0: inherited from the run that this one was forked from, so neither spent nor owed a replay.
CREATE TABLE IF NOT EXISTS calls (
  key TEXT PRIMARY KEY, item TEXT NOT NULL, agent TEXT NOT NULL, model TEXT NOT NULL,
  request TEXT NOT NULL, completion TEXT, outcome TEXT NOT NULL, note TEXT NOT NULL DEFAULT '',
  prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
  reasoning_tokens INTEGER NOT NULL DEFAULT 0, cached_tokens INTEGER NOT NULL DEFAULT 0,
  cost INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL, ended REAL NOT NULL,
  sample INTEGER NOT NULL, attempt INTEGER NOT NULL, epoch INTEGER NOT NULL, sum INTEGER
);
CREATE INDEX IF NOT EXISTS calls_of_item ON calls (item);

CREATE TABLE IF NOT EXISTS uses (
  key TEXT PRIMARY KEY, item TEXT NOT NULL, tool TEXT NOT NULL, version TEXT NOT NULL,
  arguments TEXT NOT NULL, result TEXT, error TEXT, started REAL NOT NULL, seconds REAL NOT NULL, epoch INTEGER NOT NULL, sum INTEGER
);
CREATE INDEX IF NOT EXISTS uses_of_item ON uses (item);

CREATE TABLE IF NOT EXISTS items (
  id TEXT PRIMARY KEY, pass INTEGER NOT NULL, place INTEGER NOT NULL, document TEXT NOT NULL, source TEXT NOT NULL,
  skill TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending', reason TEXT NOT NULL DEFAULT '',
  crash TEXT NOT NULL DEFAULT '', crashes INTEGER NOT NULL DEFAULT 0, ended REAL, sum INTEGER
);
CREATE INDEX IF NOT EXISTS items_in_order ON items (state, pass, place, id);

-- `parent` is what the node was made from, `before` what of its own type it was changed from. Documents belong to no
-- item (item = ''), because several skills share them.
CREATE TABLE IF NOT EXISTS nodes (
  item TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, parent TEXT, before TEXT,
  kind TEXT NOT NULL, status TEXT NOT NULL DEFAULT '', step TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
  body TEXT NOT NULL, sum INTEGER, PRIMARY KEY (item, key)
);
CREATE INDEX IF NOT EXISTS nodes_of_id ON nodes (id);
CREATE INDEX IF NOT EXISTS nodes_of_status ON nodes (type, status);

CREATE TABLE IF NOT EXISTS events (
  item TEXT NOT NULL, place INTEGER NOT NULL, step TEXT NOT NULL, event TEXT NOT NULL, node TEXT NOT NULL,
  source TEXT NOT NULL, sum INTEGER, PRIMARY KEY (item, place)
) WITHOUT ROWID;

-- What an accepted row asks, as a digest: of rows that ask the same, the lowest in plan order stays.
CREATE TABLE IF NOT EXISTS twins (
  item TEXT NOT NULL, example TEXT NOT NULL, twin TEXT NOT NULL, sum INTEGER, PRIMARY KEY (item, example)
) WITHOUT ROWID;

-- Every verdict ever given. generation 0 is the run's own; each recheck adds one and takes nothing away.
CREATE TABLE IF NOT EXISTS verdicts (
  item TEXT NOT NULL, example TEXT NOT NULL, generation INTEGER NOT NULL, place INTEGER NOT NULL,
  "check" TEXT NOT NULL, version INTEGER NOT NULL, outcome TEXT NOT NULL, evidence TEXT NOT NULL, hint TEXT NOT NULL,
  decides INTEGER NOT NULL, "by" TEXT NOT NULL, given REAL NOT NULL, sum INTEGER,
  PRIMARY KEY (item, example, generation, place)
) WITHOUT ROWID;

-- What each process might have had in the air. An epoch that was not closed is charged its whole allowance.
CREATE TABLE IF NOT EXISTS spend (
  epoch INTEGER PRIMARY KEY, allowance INTEGER NOT NULL DEFAULT 0, charged INTEGER NOT NULL DEFAULT 0,
  closed INTEGER NOT NULL DEFAULT 0, started REAL NOT NULL
);

-- As `spend`, for tokens and calls where a recipe limits them.
CREATE TABLE IF NOT EXISTS lent (
  epoch INTEGER NOT NULL, unit TEXT NOT NULL, allowance INTEGER NOT NULL DEFAULT 0, charged INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (epoch, unit)
) WITHOUT ROWID;

-- The worst case of every call that a batch service has and has not answered. Its row goes with the commit of the reply.
CREATE TABLE IF NOT EXISTS held (
  key TEXT PRIMARY KEY, money INTEGER NOT NULL, tokens INTEGER NOT NULL, calls INTEGER NOT NULL
) WITHOUT ROWID;
