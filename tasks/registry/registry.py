"""The policies of one warehouse as versions of one registered model in MLflow.

The model registry holds what is shared: versions, aliases, notes, and a copy of every policy. A
policy's local home is `<root>/policies/<policy_id>/`; a run reads it there and downloads it first
where it is missing.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.registry.cards import FOLDER, read_card, write_card
from tasks.registry.sqlite_versions import read_versions, sqlite_file
from tasks.registry.versions import (
    POLICY_ID,
    POOL,
    PROFILE_ID,
    PolicyNotFoundError,
    PolicyVersion,
    RegistryError,
    made_version,
)
from tasks.tracking.redaction import without_secrets
from tasks.version import code_version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from profiles.policies.policy import Policy

NAME = "atlas-policy"

_CARD_TAGS = ("estimator", "seed", "training", "name")
"""Entries of a card that become tags, where they are there."""


def policy_folder(root: Path, policy_id: str) -> Path:
    """The local home of a policy."""
    return Path(root) / FOLDER / policy_id


class PolicyRegistry:
    """Versions, aliases and notes of the policies of one MLflow store.

    Args:
        mlflow_uri: a SQLAlchemy address or a server's, as for tracking.
        artifacts: folder or address of artifacts; a server has its own.
        name: of the registered model.
    """

    def __init__(self, mlflow_uri: str, artifacts: str | Path, name: str = NAME) -> None:
        self.name = name
        self._uri = mlflow_uri
        self._artifacts = artifacts
        self._made: MlflowClient | None = None

    def register(
        self,
        policy: Policy,
        *,
        run_id: str,
        card: Mapping[str, object],
        profile: Path | None = None,
    ) -> PolicyVersion:
        """Keep a policy as a new version; one that is a version already is returned as it is.

        Args:
            policy: what to keep.
            run_id: the MLflow run that trained it; empty without one.
            card: what is known of it, as JSON values: kept beside it, and its `estimator`, `seed`,
                `training`, `name` and `data` (hashes by name) as tags.
            profile: folder of its profile, so that the version can be served by MLflow alone.

        Raises:
            RegistryError: MLflow cannot do it.
        """
        known = [one for one in self.versions() if one.policy_id == policy.policy_id]
        if known:
            return known[-1]
        with self._asked("register a policy"), tempfile.TemporaryDirectory() as folder:
            from tasks.registry.package import build_package

            package = Path(folder) / "model"
            build_package(policy, package, card=card, profile=profile)
            model = self._log_model(package, policy.policy_id, run_id)
            self._ensure_model()
            made = self._client().create_model_version(
                self.name,
                # Its id alone would be looked up in MLflow's global store, not in ours.
                source=model.artifact_location,
                run_id=run_id or None,
                tags=version_tags(policy, card),
                model_id=model.model_id if run_id else None,
            )
        return self.resolve(str(made.version))

    def versions(self) -> list[PolicyVersion]:
        """Every version, by rising number.

        Raises:
            RegistryError: MLflow cannot be asked.
        """
        file = sqlite_file(self._uri)
        found = None if file is None else read_versions(file, self.name)
        if found is not None:
            return found
        with self._asked("list policies"):
            return self._listed()

    def resolve(self, reference: str) -> PolicyVersion:
        """The version that an alias, a number or a policy's id names.

        Raises:
            PolicyNotFoundError: there is none; says what there is.
            RegistryError: MLflow cannot be asked.
        """
        versions = self.versions()
        for one in reversed(versions):
            if reference in (*one.aliases, str(one.version), one.policy_id):
                return one
        if not versions:
            raise PolicyNotFoundError(
                f"There is no policy {reference!r}: none is registered in "
                f"{without_secrets(self._uri)} yet. Train one with `atlas train`."
            )
        told = "; ".join(_told(one) for one in versions[-5:])
        more = f"; and {len(versions) - 5} older" if len(versions) > 5 else ""
        raise PolicyNotFoundError(f"There is no policy {reference!r}; there is: {told}{more}.")

    def fetch(self, version: PolicyVersion, root: Path) -> Policy:
        """The policy of a version, from its home under `root`, downloaded there where it is not.

        Raises:
            PolicyFileError: its files are damaged.
            RegistryError: it cannot be downloaded, or is not what the version says.
        """
        from profiles.policies.policy_file import WORDS, read_policy

        home = policy_folder(root, version.policy_id)
        if not (home / WORDS).exists():
            self._download(version, home)
        policy = read_policy(home)
        if policy.policy_id != version.policy_id:
            raise RegistryError(
                f"{home} holds {policy.policy_id}, but version {version.version} is "
                f"{version.policy_id}; remove the folder, and it is fetched again"
            )
        return policy

    def card(self, version: PolicyVersion, root: Path) -> dict[str, Any]:
        """What is known of a version, from `root`, downloaded there where it is not.

        Raises:
            RegistryError: it cannot be downloaded, or is no card.
        """
        found = read_card(root, version.policy_id)
        if found is not None:
            return found
        with self._downloaded(version, "card.json") as path:
            try:
                card = json.loads(path.read_bytes())
            except ValueError as error:
                raise RegistryError(
                    f"card.json of version {version.version} of {self.name} is no JSON ({error}); "
                    "train again (`atlas train`)"
                ) from error
        write_card(root, version.policy_id, card)
        return dict(card)

    def set_alias(self, alias: str, version: int) -> None:
        """Let an alias point to a version, and to no other.

        Raises:
            PolicyNotFoundError: there is no such version.
            RegistryError: MLflow cannot do it.
        """
        self.resolve(str(version))
        with self._asked(f"set the alias {alias!r}"):
            self._client().set_registered_model_alias(self.name, alias, str(version))

    def remove_alias(self, alias: str) -> None:
        """Let an alias point to nothing; one that is not there is no error.

        Raises:
            RegistryError: MLflow cannot do it.
        """
        if any(alias in one.aliases for one in self.versions()):
            with self._asked(f"remove the alias {alias!r}"):
                self._client().delete_registered_model_alias(self.name, alias)

    def annotate(self, version: int, tags: Mapping[str, str]) -> None:
        """Note something of a version; a tag of that name is replaced.

        Raises:
            PolicyNotFoundError: there is no such version.
            RegistryError: MLflow cannot do it.
        """
        self.resolve(str(version))
        with self._asked("annotate a policy"):
            for key, value in tags.items():
                self._client().set_model_version_tag(
                    self.name, str(version), key, without_secrets(value)
                )

    # ------------------------------------------------------------------ MLflow

    def _log_model(self, package: Path, policy_id: str, run_id: str) -> LoggedModel:
        """Keep a package as a logged model of the run's experiment."""
        client = self._client()
        experiment = client.get_run(run_id).info.experiment_id if run_id else self._experiment()
        model = client.create_logged_model(
            experiment,
            name=policy_id,
            source_run_id=run_id or None,
            tags={"atlas.policy_id": policy_id},
            model_type="policy",
        )
        try:
            client.log_model_artifacts(model.model_id, str(package))
        except Exception:
            with contextlib.suppress(Exception):
                client.finalize_logged_model(model.model_id, "FAILED")
            raise
        client.finalize_logged_model(model.model_id, "READY")
        if run_id:
            _link(client, run_id, model.model_id)
        return model

    def _experiment(self) -> str:
        from tasks.tracking.client import experiment_id
        from tasks.tracking.runs import EXPERIMENT

        return experiment_id(self._client(), self._uri, self._artifacts, EXPERIMENT)

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client().create_registered_model(
                self.name, description="Multi-step routing policies, trained by `atlas train`."
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _listed(self) -> list[PolicyVersion]:
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            model = client.get_registered_model(self.name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        pointing: dict[int, list[str]] = {}
        for alias, number in model.aliases.items():
            pointing.setdefault(int(number), []).append(alias)
        found = [
            made_version(
                self.name,
                int(one.version),
                run_id=one.run_id,
                created_ms=int(one.creation_timestamp),
                tags=one.tags,
                aliases=pointing.get(int(one.version), ()),
            )
            for one in _pages(
                lambda token: client.search_model_versions(
                    f"name = '{self.name}'", page_token=token
                )
            )
        ]
        return sorted(found, key=lambda one: one.version)

    def _download(self, version: PolicyVersion, home: Path) -> None:
        """Bring a policy home: whole, or not at all."""
        from profiles.policies.policy_file import read_policy, write_policy

        with self._downloaded(version, "policy") as folder:
            policy = read_policy(folder)
        if policy.policy_id != version.policy_id:
            raise RegistryError(
                f"version {version.version} of {self.name} holds {policy.policy_id}, not "
                f"{version.policy_id} as it says; train again (`atlas train`)"
            )
        write_policy(policy, home)

    @contextlib.contextmanager
    def _downloaded(self, version: PolicyVersion, artifact: str) -> Iterator[Path]:
        """An artifact of a version in a temporary place.

        Raises:
            RegistryError: MLflow cannot give it.
        """
        with tempfile.TemporaryDirectory() as folder:
            with self._asked(f"fetch {artifact} of version {version.version}"):
                from mlflow.artifacts import download_artifacts

                # The address models:/<name> would be looked up in MLflow's global store.
                source = self._client().get_model_version_download_uri(
                    self.name, str(version.version)
                )
                path = download_artifacts(
                    artifact_uri=f"{source.rstrip('/')}/artifacts/{artifact}",
                    dst_path=folder,
                    tracking_uri=self._uri,
                )
            yield Path(path)

    def _client(self) -> MlflowClient:
        if self._made is None:
            from tasks.tracking.client import quiet_client

            self._made = quiet_client(self._uri)
        return self._made

    @contextlib.contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Whatever MLflow says is said in a sentence.

        Raises:
            RegistryError: for any error of MLflow, its database or the network.
        """
        try:
            yield
        except (RegistryError, ValueError):
            raise
        except Exception as error:
            module = type(error).__module__.partition(".")[0]
            if module not in ("mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3"):
                raise
            reason = without_secrets(" ".join(str(error).split())[:200])
            raise RegistryError(
                f"MLflow at {without_secrets(self._uri)} could not {what} ({reason}); check the "
                "address, --mlflow-uri or ATLAS_MLFLOW_URI, and that it can be reached"
            ) from error


def version_tags(policy: Policy, card: Mapping[str, object]) -> dict[str, str]:
    """What is noted of a version when it is registered."""
    tags = {
        POLICY_ID: policy.policy_id,
        PROFILE_ID: policy.profile_id,
        POOL: policy.pool_fingerprint,
        "code_version": code_version(),
    }
    tags |= {key: str(card[key]) for key in _CARD_TAGS if card.get(key) is not None}
    data = card.get("data")
    if isinstance(data, Mapping):
        tags |= {f"data.{key}": str(value) for key, value in data.items()}
    return tags


def _link(client: MlflowClient, run_id: str, model_id: str) -> None:
    """Show the model among the outputs of its run."""
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def _pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every row of a search that comes in pages."""
    token: str | None = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def _told(version: PolicyVersion) -> str:
    marks = f" ({', '.join(version.aliases)})" if version.aliases else ""
    return f"version {version.version}{marks}, {version.policy_id}"
