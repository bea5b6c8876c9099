"""What clients were told, beside the rows: an acknowledgement is a promise.

The lines are those of `tests.faults.client` and `tests.faults.editor`.
"""

from pathlib import Path

import psycopg

from tests.faults.report import Report
from tests.faults.standing import row_id

_TABLE = "CREATE TEMP TABLE note (kind text, a text, b text, c text, d text, e text)"

# What to say if there is such a row, and how to look for it.
_WRONG = {
    "acknowledged event, counted not once or otherwise": """
SELECT n.a, n.b, n.c, count(e.id), min(e.tokens), min(e.cost)
FROM (SELECT DISTINCT a, b, c FROM note WHERE kind = 'E') AS n
LEFT JOIN usage_usageevent AS e ON e.client_id = n.a AND e.source = 'api'
GROUP BY n.a, n.b, n.c HAVING count(e.id) <> 1
OR min(e.tokens) <> n.b::bigint OR min(e.cost) <> n.c::bigint LIMIT 20""",
    "a repeated event was answered otherwise than at first": """
SELECT a, count(DISTINCT d), count(*) FILTER (WHERE e = 'recorded') FROM note
WHERE kind = 'E' GROUP BY a
HAVING count(DISTINCT d) > 1 OR count(*) FILTER (WHERE e = 'recorded') > 1 LIMIT 20""",
    "an event's answer names another row": """
SELECT n.a, n.d FROM note AS n LEFT JOIN usage_usageevent AS e
ON e.id = n.d::uuid AND e.client_id = n.a WHERE n.kind = 'E' AND e.id IS NULL
LIMIT 20""",
    "acknowledged denial without its decision": """
SELECT n.a FROM note AS n LEFT JOIN audit_decisionrecord AS d
ON d.id = n.a::uuid AND NOT d.allowed AND d.reservation_id IS NULL
WHERE n.kind = 'D' AND d.id IS NULL LIMIT 20""",
    "acknowledged allow without its decision": """
SELECT n.a FROM note AS n LEFT JOIN audit_decisionrecord AS d
ON d.id = n.a::uuid AND d.allowed AND d.reservation_id IS NULL
WHERE n.kind = 'A' AND d.id IS NULL LIMIT 20""",
    "acknowledged reservation that is not there, or another's": """
SELECT n.a, n.b FROM note AS n LEFT JOIN usage_reservation AS r
ON r.id = n.b::uuid AND r.idempotency_key = n.a
AND (r.amounts->>'tokens')::bigint = n.c::bigint
WHERE n.kind = 'G' AND r.id IS NULL LIMIT 20""",
    "released, and not": """
SELECT n.a, n.b, r.state FROM note AS n LEFT JOIN usage_reservation AS r
ON r.id = n.a::uuid WHERE n.kind = 'R' AND r.state IS DISTINCT FROM n.b LIMIT 20""",
    "an acknowledged edit is lost": """
SELECT n.b, n.c FROM note AS n LEFT JOIN policies_policyrevision AS r
ON r.policy_id = n.b::uuid AND r.number = n.c::integer
WHERE n.kind = 'V' AND n.a = 'policy' AND r.id IS NULL LIMIT 20""",
    "an acknowledged act is lost": """
SELECT n.a, n.b, count(*), min(c.said) FROM note AS n LEFT JOIN (SELECT action,
target, count(*) AS said FROM accounts_changerecord GROUP BY 1, 2) AS c
ON c.action = n.a AND c.target = n.b WHERE n.kind = 'V' AND n.a <> 'policy'
GROUP BY n.a, n.b HAVING count(*) > coalesce(min(c.said), 0) LIMIT 20""",
}


def compare(database: psycopg.Connection, notes: list[Path], report: Report) -> None:
    """Look for every line's row."""
    database.execute(_TABLE)
    with database.cursor().copy("COPY note FROM STDIN") as copy:
        for path in notes:
            for line in path.read_text().splitlines():
                _note(copy, line.split("\t"), report)
    database.execute("CREATE INDEX ON note (kind, a); ANALYZE note")
    for what, sql in _WRONG.items():
        for row in database.execute(sql).fetchall():
            report.wrong(f"{what}: {row}")


def _note(copy: psycopg.Copy, said: list[str], report: Report) -> None:
    kind = said[0]
    report.counts[f"note {kind}"] += 1
    if kind == "X":
        report.wrong(f"an answer that should not be: {said[1:]}")
    elif kind == "G":
        held = str(row_id(said[2]))
        copy.write_row(("G", said[1], held, said[3], said[4], None))
    elif kind in ("A", "D", "R"):
        state = said[2] if kind == "R" else None
        copy.write_row((kind, str(row_id(said[1])), state, None, None, None))
    elif kind == "E":
        event = str(row_id(said[6]))
        copy.write_row((kind, said[1], said[2], said[3], event, said[5]))
    elif kind == "V" and said[1] == "policy":
        policy = str(row_id(said[2]))
        copy.write_row((kind, said[1], policy, said[3], None, None))
    elif kind == "V":
        copy.write_row((kind, said[1], said[2], None, None, None))
