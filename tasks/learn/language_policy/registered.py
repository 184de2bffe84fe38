"""Language policies in the model registry, beside the compact ones and under a name of their own.

`atlas route` resolves its policy among the compact ones, so a version here can never be its
champion by mistake. Versions, aliases and notes work alike; every version has the tag
`kind=language`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tasks.learn.language_policy.policy_folder import read_card
from tasks.registry.package import CARD, POLICY, card_text
from tasks.registry.registry import PolicyRegistry, policy_folder
from tasks.registry.versions import POLICY_ID, POOL, PROFILE_ID, PolicyVersion, RegistryError
from tasks.version import code_version

NAME = "atlas-language-policy"


class LanguageRegistry(PolicyRegistry):
    """Versions of the language policies of one MLflow store.

    Args:
        mlflow_uri: a SQLAlchemy address or a server's, as for tracking.
        artifacts: folder or address of artifacts; a server has its own.
        name: of the registered model.
    """

    def __init__(self, mlflow_uri: str, artifacts: str | Path, name: str = NAME) -> None:
        super().__init__(mlflow_uri, artifacts, name)

    def register_folder(
        self,
        folder: Path,
        *,
        run_id: str = "",
        card: Mapping[str, object],
        pool_fingerprint: str = "",
    ) -> PolicyVersion:
        """Keep a written policy as a new version; one that is a version already is returned.

        Args:
            folder: of `write_language_policy`.
            run_id: the MLflow run that trained it; empty without one.
            card: what is known of it, as JSON values; kept beside it.
            pool_fingerprint: of the pool it was told of; empty for a table without one.

        Raises:
            LanguagePolicyError: the folder is damaged.
            RegistryError: MLflow cannot do it.
        """
        content = read_card(folder)
        name = str(content["policy_id"])
        known = [one for one in self.versions() if one.policy_id == name]
        if known:
            return known[-1]
        with self._asked("register a policy"), tempfile.TemporaryDirectory() as temporary:
            package = Path(temporary) / "model"
            shutil.copytree(folder, package / "artifacts" / POLICY)
            told = {"kind": "language", "policy_id": name, **card}
            (package / "artifacts" / CARD).write_text(card_text(told), encoding="utf-8")
            model = self._log_model(package, name, run_id)
            self._ensure_model()
            made = self._client().create_model_version(
                self.name,
                # Its id alone would be looked up in MLflow's global store, not in ours.
                source=model.artifact_location,
                run_id=run_id or None,
                tags={
                    "kind": "language",
                    POLICY_ID: name,
                    PROFILE_ID: "",
                    POOL: pool_fingerprint,
                    "base": str(content["settings"]["base"]),
                    "weights": str(content["weights"]),
                    "code_version": code_version(),
                },
                model_id=model.model_id if run_id else None,
            )
        return self.resolve(str(made.version))

    def fetch_folder(self, version: PolicyVersion, root: Path) -> Path:
        """The folder of a version under `root`, downloaded there where it is not.

        Raises:
            LanguagePolicyError: the folder is damaged.
            RegistryError: it cannot be downloaded, or is not what the version says.
        """
        home = policy_folder(root, version.policy_id)
        if not home.exists():
            self._bring(version, home)
        found = read_card(home)["policy_id"]
        if found != version.policy_id:
            raise RegistryError(
                f"{home} holds {found}, but version {version.version} is {version.policy_id};"
                " remove the folder, and it is fetched again"
            )
        return home

    def _bring(self, version: PolicyVersion, home: Path) -> None:
        """Download a version: whole, or not at all."""
        home.parent.mkdir(parents=True, exist_ok=True)
        with (
            self._asked("fetch a policy"),
            tempfile.TemporaryDirectory(dir=home.parent, prefix=".partial-") as folder,
        ):
            from mlflow.artifacts import download_artifacts

            source = self._client().get_model_version_download_uri(self.name, str(version.version))
            brought = Path(
                download_artifacts(
                    artifact_uri=f"{source.rstrip('/')}/artifacts/{POLICY}",
                    dst_path=folder,
                    tracking_uri=self._uri,
                )
            )
            read_card(brought)
            brought.rename(home)
