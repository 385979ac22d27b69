"""The tables of the index: a projection of the journal, plus two memos that only save time."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

records = Table(
    "records",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("kind", String(32), nullable=False, index=True),
    Column("seq", BigInteger, nullable=False),
    Column("segment", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("length", Integer, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("key", String(64), nullable=False, index=True),
    Column("recipe", String(64), nullable=False, index=True),
    Column("tool", String(64), nullable=False),
    Column("method", String(128)),
    Column("node_id", String(128), nullable=False, index=True),
    Column("run_id", String(64), nullable=False),
    Column("device", String(16), nullable=False),
    Column("fields", Text, nullable=False),
    Column("artifacts", Text, nullable=False),
    Column("blobs", Text, nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("duration_ms", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False, index=True),
    Column("dag_id", String(16), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("total", Integer, nullable=False),
    Column("cached", Integer, nullable=False),
)

dags = Table(
    "dags",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("dag_id", String(16), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("title", Text, nullable=False, index=True),
    Column("face", String(64), nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("artifact", Text, nullable=False, index=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("lineage_id", String(16), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("registered_at", String(40), nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("segment", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)

stat_memo = Table(
    "stat_memo",
    metadata,
    Column("path", Text, primary_key=True),
    Column("inode", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

Index("nodes_slot", nodes.c.node_id, nodes.c.tool, nodes.c.method, nodes.c.seq)

PROJECTION = (records, nodes, runs, dags, versions, stat_memo)
"""What is filled anew from the journal."""
