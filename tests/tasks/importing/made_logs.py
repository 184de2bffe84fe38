"""Writers of small logs in the formats of other tools, made here from their documented fields."""

from __future__ import annotations

import csv
import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import zstandard

DATE = "2026-05-01T10-00-00.123456"


def lines(path, rows):
    """Write rows as JSON lines and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# lm-evaluation-harness ----------------------------------------------------------------------


def lm_sample(doc_id, doc, *, filter_="none", target="", answer="", sent=None, **metrics):
    """One row of a samples file."""
    return {
        "doc_id": doc_id,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": sent or f"Q: {doc}\nA:", "arg_1": {"until": []}}},
        "resps": [[answer]],
        "filtered_resps": [answer],
        "filter": filter_,
        "metrics": list(metrics),
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        **metrics,
    }


def lm_eval(folder, task, model, samples, *, date=DATE, results=True):
    """One model's samples of a task, and the results beside them."""
    home = Path(folder) / model.replace("/", "__")
    path = lines(home / f"samples_{task}_{date}.jsonl", samples)
    if results:
        text = json.dumps({"results": {task: {}}, "model_name": model, "config": {"model": "hf"}})
        (home / f"results_{date}.json").write_text(text)
    return path


# Inspect ------------------------------------------------------------------------------------


def inspect_sample(number, text="What is 1+1?", *, epoch=1, score="C", model="openai/gpt", **more):
    """One sample of a log."""
    return {
        "id": number,
        "epoch": epoch,
        "uuid": f"u{number}-{epoch}",
        "input": text,
        "target": "2",
        "messages": [],
        "output": {
            "model": model,
            "choices": [{"message": {"role": "assistant", "content": "It is 2"}}],
            "completion": "It is 2",
        },
        "scores": {"match": {"value": score, "answer": "2", "history": []}},
        "model_usage": {
            model: {
                "input_tokens": 10,
                "output_tokens": 4,
                "total_tokens": 34,
                "input_tokens_cache_read": 20,
                "total_cost": 0.002,
            },
            "judge/model": {"input_tokens": 999, "output_tokens": 999, "total_tokens": 1998},
        },
        "working_time": 1.5,
        "total_time": 9.0,
        **more,
    }


def inspect_header(model="openai/gpt", *, task="arithmetic", status="success", version=2):
    """What a log says of the whole run."""
    return {
        "version": version,
        "status": status,
        "eval": {"eval_id": f"e-{model}", "task": task, "model": model, "config": {}},
        "plan": {"name": "plan", "steps": []},
    }


def inspect_json(path, header, samples):
    """A log as one JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(header | {"samples": samples, "reductions": []}, indent=2))
    return path


def inspect_eval(path, header, samples, *, compression="deflate", finished=True):
    """A log as a zip, its members deflated or compressed with zstd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    members = {"header.json" if finished else "_journal/start.json": header}
    members |= {f"samples/{one['id']}_epoch_{one['epoch']}.json": one for one in samples}
    texts = {name: json.dumps(value).encode() for name, value in members.items()}
    if compression == "zstd":
        path.write_bytes(zip_of_zstd(texts))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def zip_of_zstd(texts):
    """A zip archive whose members are compressed by method 93, which `zipfile` cannot write."""
    out, directory = io.BytesIO(), b""
    for name, text in texts.items():
        packed = zstandard.ZstdCompressor().compress(text)
        about = (93, 0, 0, zlib.crc32(text), len(packed), len(text), len(name.encode()), 0)
        offset = out.tell()
        out.write(b"PK\x03\x04" + struct.pack("<HHHHHLLLHH", 63, 0, *about) + name.encode())
        out.write(packed)
        directory += (
            b"PK\x01\x02"
            + struct.pack("<HHHHHHLLLHHHHHLL", 63, 63, 0, *about, 0, 0, 0, 0, offset)
            + name.encode()
        )
    start = out.tell()
    out.write(directory)
    end = (0, 0, len(texts), len(texts), len(directory), start, 0)
    out.write(b"PK\x05\x06" + struct.pack("<HHHHLLH", *end))
    return out.getvalue()


# OpenAI batches -----------------------------------------------------------------------------


def batch_request(custom_id, text, *, model="gpt-small", system=None, **labels):
    """One line of an input file."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    body = {"model": model, "messages": messages}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
        **labels,
    }


def batch_response(custom_id, answer, *, model="gpt-small-2026-01-01", number=0):
    """One line of an output file."""
    return {
        "id": f"batch_req_{model}_{custom_id}_{number}",
        "custom_id": custom_id,
        "response": {
            "status_code": 200,
            "request_id": "r",
            "body": {
                "model": model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}}],
                "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
            },
        },
        "error": None,
    }


def batch_error(custom_id, code="batch_expired"):
    """One line of an error file."""
    message = "SECRET text of a prompt"
    error = {"code": code, "message": message}
    return {"id": f"e_{custom_id}", "custom_id": custom_id, "response": None, "error": error}


# LiteLLM ------------------------------------------------------------------------------------


def spend(number, text="What is 1+1?", *, model="small", dollars=0.001, **more):
    """One row of `LiteLLM_SpendLogs`; `text` None is a proxy that stores no prompts."""
    request = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {
        "request_id": f"chatcmpl-{number}",
        "call_type": "acompletion",
        "api_key": "hashed",
        "spend": dollars,
        "total_tokens": 14,
        "prompt_tokens": 11,
        "completion_tokens": 3,
        "startTime": "2026-05-01T10:00:00.000Z",
        "endTime": "2026-05-01T10:00:02.500Z",
        "request_duration_ms": None,
        "model": f"provider/{model}-2026",
        "model_group": model,
        "metadata": {},
        "cache_hit": "False",
        "messages": {},
        "response": {"choices": [{"message": {"content": "It is 2"}}]} if text else {},
        "proxy_server_request": request if text else {},
        "status": "success",
        **more,
    }


def spend_csv(path, rows):
    """Spend logs as a CSV export: JSON columns are text."""
    flat = [
        {name: json.dumps(v) if isinstance(v, dict | list) else v for name, v in row.items()}
        for row in rows
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)
    return path
