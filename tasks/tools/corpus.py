"""A local corpus: a folder of documents, split into passages, indexed for BM25.

`.txt` and `.md` files are one document each, titled by their first heading or file name; `.jsonl`
files hold one document a line, `{"title": …, "text": …}` with an optional `url`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".txt", ".md", ".jsonl")
PASSAGE_WORDS = 120
_KEPT_INDEXES = 4


class CorpusError(ValueError):
    """A corpus that cannot be read; the message names the file and the line."""


class Document(NamedTuple):
    """One document as it lies in the folder."""

    title: str
    text: str
    source: str
    """File, with the line for `.jsonl`; or the document's own url."""


class Passage(NamedTuple):
    """A stretch of about 120 words of one document."""

    title: str
    text: str
    source: str


class CorpusIndex:
    """BM25 over the passages of one corpus."""

    def __init__(self, passages: list[Passage], fingerprint: str) -> None:
        """Index at once; the title counts as part of every passage of its document."""
        import bm25s

        # It sets its own logger to DEBUG when imported.
        logging.getLogger("bm25s").setLevel(logging.WARNING)

        self.passages = passages
        self.fingerprint = fingerprint
        self._bm25 = bm25s.BM25()
        texts = [f"{passage.title}\n{passage.text}" for passage in passages]
        self._bm25.index(_tokenize(texts), show_progress=False)

    def search(self, query: str, top: int) -> list[Passage]:
        """The `top` passages of the highest BM25 score, ties in corpus order.

        Passages that share no word with the query are left out, so fewer may come back.
        """
        words = [word for word in _tokenize([query])[0] if word in self._vocabulary]
        if not words:
            return []
        scores: NDArray[np.float32] = self._bm25.get_scores(words)
        order = np.argsort(-scores, kind="stable")[:top]
        return [self.passages[number] for number in order if scores[number] > 0]

    @cached_property
    def _vocabulary(self) -> set[str]:
        return set(self._bm25.vocab_dict)


def load_index(folder: Path) -> CorpusIndex:
    """The index of a corpus folder, built once for each content and kept in memory.

    Raises:
        CorpusError: no such folder, no documents in it, or one that cannot be read.
    """
    fingerprint = corpus_fingerprint(folder)
    with _LOCK:
        if fingerprint not in _INDEXES:
            passages = [part for file in corpus_files(folder) for part in _passages(file, folder)]
            if not passages:
                raise CorpusError(f"the corpus {folder} holds no text")
            while len(_INDEXES) >= _KEPT_INDEXES:
                _INDEXES.pop(next(iter(_INDEXES)))
            _INDEXES[fingerprint] = CorpusIndex(passages, fingerprint)
        return _INDEXES[fingerprint]


def corpus_fingerprint(folder: Path) -> str:
    """Hash of a corpus: names and contents of its files, 64 hexadecimal digits.

    Raises:
        CorpusError: no such folder, no documents in it, or one that cannot be read.
    """
    digest = hashlib.sha256()
    for file in corpus_files(folder):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(_read_bytes(file)).digest())
    return digest.hexdigest()


def corpus_files(folder: Path) -> list[Path]:
    """Files of a corpus, sorted.

    Raises:
        CorpusError: no such folder, or nothing in it that could be a document.
    """
    if not folder.is_dir():
        raise CorpusError(f"the corpus folder {folder} does not exist")
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not files:
        raise CorpusError(f"the corpus folder {folder} holds no {', '.join(SUFFIXES)} file")
    return files


def split(document: Document) -> Iterator[Passage]:
    """Passages of whole paragraphs where they fit, of about `PASSAGE_WORDS` words."""
    pending: list[str] = []
    for paragraph in re.split(r"\n\s*\n", document.text):
        words = paragraph.split()
        if pending and len(pending) + len(words) > PASSAGE_WORDS:
            yield Passage(document.title, " ".join(pending), document.source)
            pending = []
        pending += words
        while len(pending) > PASSAGE_WORDS:
            yield Passage(document.title, " ".join(pending[:PASSAGE_WORDS]), document.source)
            pending = pending[PASSAGE_WORDS:]
    if pending:
        yield Passage(document.title, " ".join(pending), document.source)


_INDEXES: dict[str, CorpusIndex] = {}
_LOCK = threading.Lock()


def _passages(file: Path, folder: Path) -> Iterator[Passage]:
    name = file.relative_to(folder).as_posix()
    try:
        text = _read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file}: not UTF-8 at byte {error.start}") from None
    if file.suffix == ".jsonl":
        documents = _json_documents(text, file, name)
    else:
        heading = re.match(r"\s*#+[ \t]+(.+)", text) if file.suffix == ".md" else None
        title = heading[1].strip() if heading else file.stem.replace("_", " ").replace("-", " ")
        body = text[heading.end() :] if heading else text
        documents = iter([Document(title, body, name)])
    for document in documents:
        yield from split(document)


def _json_documents(text: str, file: Path, name: str) -> Iterator[Document]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except ValueError:
            raise CorpusError(f"{file}, line {number}: not valid JSON") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise CorpusError(f"{file}, line {number}: a document needs a field 'text' of text")
        title = str(row.get("title") or row.get("id") or f"{name}:{number}")
        yield Document(title, row["text"], str(row.get("url") or f"{name}:{number}"))


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CorpusError(f"{file}: cannot be read ({error.strerror})") from None


def _tokenize(texts: list[str]) -> list[list[str]]:
    """Lower-case words without English function words."""
    return [[word for word in _WORD.findall(text.lower()) if word not in _STOP] for text in texts]


_WORD = re.compile(r"\w+")
_STOP_WORDS = """
a an and are as at be by did do does for from had has have how in into is it its of on or that the
their this to was were what when where which who whom whose why will with
"""
_STOP = frozenset(_STOP_WORDS.split())
