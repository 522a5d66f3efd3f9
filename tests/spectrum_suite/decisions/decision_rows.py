"""Invented rows of decisions, as text columns (a Hub, Parquet) and as JSON lines."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

TEAM = {"type": "choice", "instructions": "Who replies?", "criteria": {"sales": None, "support": "anything broken"}}
HUMAN = {"type": "noul", "instructions": "A person must reply.", "criteria": {"false": "No", "true": "Yes"}}
MOOD = {"type": "score", "instructions": "How upset is the customer?", "criteria": ["calm", "annoyed", "furious"]}


def choice(label, **shares):
    return {"type": "choice", "label": label, "confidence": 0, "probabilities": shares}


ROWS = [
    {
        "id": "desk_1", "workflow": "desk", "split": "test", "state": {"thread": ["Lamp broken"], "n": 1},
        "questions": {"team": TEAM, "human": HUMAN, "mood": MOOD},
        "gold": {
            "team": choice("support", support=0.5, sales=0.5),
            "human": {"type": "noul", "label": "true", "noul": 0.7, "probabilities": {"false": 0.3, "true": 0.7}},
            "mood": {"type": "score", "label": "1", "score": 1.0, "probabilities": {"0": 0.0, "1": 1.0, "2": 0.0}},
        },
        "factors": {"tone": "calm"}, "n_questions": 3,
    },
    {
        "id": "desk_2", "workflow": "desk", "split": "test", "state": "Where is my parcel?",
        "questions": {"team": TEAM}, "gold": {"team": choice("sales", sales=1, support=0)}, "n_questions": 1,
    },
    {
        "id": "tr_3", "workflow": "shop", "split": "train", "state": "Thanks!",
        "questions": {"mood": MOOD},
        "gold": {"mood": {"type": "score", "label": "0", "probabilities": {"0": 0.8, "1": 0.15, "2": 0.05}}},
        "n_questions": 1, "n_responses": 20,
    },
]  # fmt: skip

JSON_COLUMNS = ("state", "questions", "gold", "factors")
COLUMNS = ("id", "workflow", "split", *JSON_COLUMNS, "n_questions", "n_responses")


def write_lines(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path, rows=ROWS):
    """As on the Hub: what differs from row to row is JSON text."""
    texts = [row | {name: json.dumps(row[name]) for name in JSON_COLUMNS if name in row} for row in rows]
    counts = ("n_questions", "n_responses")
    schema = [(name, pa.int64() if name in counts else pa.string()) for name in COLUMNS]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(texts, schema=pa.schema(schema)), path)
    return path
