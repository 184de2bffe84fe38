"""Every name asks for exactly one router; every other name is refused with the known ones."""

from __future__ import annotations

import pytest

from profiles.clusters import ClusterSettings
from profiles.errors import RouterError
from profiles.routers.cluster import ClusterRouterSettings
from tasks.evaluate.router_names import DEFAULT_ROUTERS, read_routers

README_KMEANS = ClusterSettings(8, seed=42, algorithm="lloyd", n_init=10, max_iter=300)
NOTHING_ADDED = ClusterRouterSettings(shrinkage=False, n_min=0, out_of_distribution=False)


def _one(name, **settings):
    (choice,) = read_routers([name], **settings)
    return choice


def test_plain_is_the_papers_print_on_the_reference_kmeans_whatever_the_seed():
    choice = _one("cluster-plain", seed=7)

    assert (README_KMEANS, NOTHING_ADDED) == (choice.clusters, choice.settings)


def test_cluster_is_the_products_defaults():
    choice = _one("cluster", seed=7)

    assert (ClusterSettings(8, seed=7), ClusterRouterSettings()) == (
        choice.clusters,
        choice.settings,
    )


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ("shrink", ClusterRouterSettings(shrinkage=True, n_min=0, out_of_distribution=False)),
        ("nmin", ClusterRouterSettings(shrinkage=False, n_min=5, out_of_distribution=False)),
        ("ood", ClusterRouterSettings(shrinkage=False, n_min=0, out_of_distribution=True)),
    ],
)
def test_each_addition_changes_itself_alone(addition, expected):
    choice = _one(f"cluster-plain+{addition}")

    assert (README_KMEANS, expected) == (choice.clusters, choice.settings)


def test_kmeans_addition_takes_the_products_clusters_and_nothing_else():
    choice = _one("cluster-plain+kmeans", seed=3)

    assert (ClusterSettings(8, seed=3), NOTHING_ADDED) == (choice.clusters, choice.settings)


def test_all_additions_together_are_the_product():
    sum_of_parts = _one("cluster-plain+shrink+nmin+ood+kmeans")
    product = _one("cluster")

    assert (product.clusters, product.settings) == (sum_of_parts.clusters, sum_of_parts.settings)


@pytest.mark.parametrize("name", ["cluster@16", "cluster-plain@16", "cluster-plain+ood@16"])
def test_k_in_the_name_wins_over_the_option(name):
    assert 16 == _one(name, clusters=4).clusters.k


def test_cost_scale_can_be_chosen_for_both():
    assert "per_cluster" == _one("cluster-plain+per_cluster").settings.cost_scale
    assert "raw" == _one("cluster+raw").settings.cost_scale


def test_kmeans_seed_is_an_option():
    assert 5 == _one("cluster-plain", kmeans_seed=5).clusters.seed


@pytest.mark.parametrize("name", ["random", "oracle", "best-single", "fixed:a/b@@python+ocr"])
def test_baselines_look_at_no_text(name):
    choice = _one(name)

    assert (name, None, False) == (choice.name, choice.clusters, choice.needs_embeddings)


@pytest.mark.parametrize("name", ["knn", "knn:5", "cluster", "cluster-plain+shrink"])
def test_routers_look_at_texts(name):
    assert _one(name).needs_embeddings


def test_default_routers_can_all_be_read():
    assert DEFAULT_ROUTERS == tuple(choice.name for choice in read_routers(DEFAULT_ROUTERS))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orakle", "did you mean 'oracle'"),
        ("", "there is no router ''"),
        ("random:3", "there is no router"),
        ("knn:", "there is no router"),
        ("knn:many", "there is no router"),
        ("knn:0", "there is no router"),
        ("fixed:", "there is no router"),
        ("cluster-plain+shrnk", "did you mean 'shrink'"),
        ("cluster+shrink", "cannot be added to cluster"),
        ("cluster-plain+", "'' cannot be added"),
        ("cluster@", "is not a number of clusters; write cluster@8"),
        ("cluster@0", "is not a number of clusters"),
        ("cluster-plain+ood@x", "write cluster-plain+ood@8"),
        ("cluster@99999", "is not a number of clusters"),
        ("clusters", "did you mean 'cluster'"),
    ],
)
def test_other_names_are_refused_with_a_hint(name, words):
    with pytest.raises(RouterError) as refused:
        _one(name)

    assert words in str(refused.value)


def test_a_router_named_twice_and_no_router_are_refused():
    with pytest.raises(RouterError, match="'random' is named twice"):
        read_routers(["random", " random"])
    with pytest.raises(RouterError, match="no router is named"):
        read_routers([])
