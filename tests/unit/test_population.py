"""Populations: their counts are the published ones, and their files are checked."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

import qnet
from qnet.classification.luminosity_function import WAVE, luminosity_function, surface_density
from qnet.core.errors import FileError, InputError

#: Quasars in 10 000 deg^2 per 0.5 mag of r from 15.5 on, at z 0-1, 1-2, 2-3, 3-4 (Palanque-
#: Delabrouille et al. 2016, A&A 587, A41, table 7, PLE + LEDE).
TABLE = {
    16.0: (173, 46, 8, 1), 17.0: (1063, 645, 109, 11), 18.0: (6171, 7534, 1476, 119),
    19.0: (22256, 42853, 14012, 1146), 20.0: (44377, 102993, 55189, 6846),
    21.0: (71385, 172381, 108661, 19287), 22.0: (111154, 271898, 177682, 35182),
}  # fmt: skip


def count(z, r, nodes=40):
    """Quasars per square degree in ranges of redshift and r."""
    ends = [np.linspace(*limits, nodes + 1) for limits in (z, r)]
    middle = [(x[1:] + x[:-1]) / 2 for x in ends]
    area = (z[1] - z[0]) * (r[1] - r[0])
    return surface_density(middle[1], middle[0][:, None]).mean() * area


@pytest.mark.parametrize("r", TABLE)
def test_counts_are_those_of_the_paper(r):
    for low, published in enumerate(TABLE[r]):
        ratio = 1e4 * count((low + 0.001, low + 1), (r, r + 0.5)) / published
        # Below z = 1 hosts add to the magnitudes; beyond 3 theirs are after absorption in r.
        least, most = {0: (1.0, 2.0), 1: (0.93, 1.07), 2: (0.95, 1.4), 3: (1.0, 1.9)}[low]
        assert least < ratio < most, (low, ratio)


def test_totals_are_those_of_surveys():
    # DESI selects more than 200 of r < 23 (Chaussidon et al. 2023), not all that there are.
    assert 200 < count((0.01, 7), (14, 23), 300) < 450
    # Of r < 22 about 60 at z > 2.1 (Ross et al. 2012; Chaussidon et al. 2023).
    assert 40 < count((2.1, 7), (14, 22), 300) < 90
    # Broad-line AGN of z < 0.35 and r < 17.77 in SDSS: 14 600 in 8000 deg^2 (Liu et al. 2019, ApJS
    # 243, 21), down to the weakest of lines.
    assert 0.2 < count((0.01, 0.35), (13, 17.77), 300) < 1.8
    # Beyond z = 5 a few in 100 deg^2 at 21, and beyond 6 ten times fewer.
    assert 0.01 < count((5, 6), (14, 21), 100) < 0.06
    assert 0.001 < count((6, 7), (14, 21), 100) < 0.006


@pytest.mark.parametrize(
    ("z", "log_density", "at_break", "faint", "bright"),
    [
        (4.9, -8.94 + 0.47 * 1.1, -27.21, -2.03, -4.0),  # McGreer et al. 2013, ApJ 768, 105
        (6.0, np.log10(10.9e-9), -24.9, -1.23, -2.73),  # Matsuoka et al. 2018, ApJ 869, 150
    ],
)
def test_it_holds_beyond_its_fit(z, log_density, at_break, faint, bright):
    magnitude = np.array([-28.0, -27.0, -26.0, -25.0, -24.0])  # M_1450
    difference = 0.4 * (magnitude - at_break)
    published = 10**log_density / (
        10 ** ((faint + 1) * difference) + 10 ** ((bright + 1) * difference)
    )
    own = magnitude - 2.5 * np.log10(3) + 1.25 * np.log10(1450 / WAVE)
    ratio = luminosity_function(own, np.array(z)) / published
    assert (ratio > 0.5).all()
    assert (ratio < 2).all()


@pytest.mark.parametrize("name", ["quasar-targets", "fibres"])
def test_named_populations_leave_nothing_out(name):
    population = qnet.Population.named(name)
    assert population.name == name
    assert (population.density > 0).all()
    assert sum(population.fractions.values()) == pytest.approx(1)
    per_dex = population.density / np.diff(np.log10(1 + population.z_edges))[:, None]
    share = per_dex / per_dex.max(axis=0)
    assert (share > 1e-4).all()
    # Of the bright ones most are near, of the faint ones few.
    near = population.z_edges[1:] < 0.3
    parts = population.density[near].sum(axis=0) / population.density.sum(axis=0)
    assert np.interp([16, 20], population.r_edges[:-1], parts) == pytest.approx(
        [0.6, 0.03], abs=0.2
    )


SMALL = qnet.Population(
    [0.1, 1.0, 2.5, 6.0],
    [16.0, 19.0, 22.0],
    [[1.0, 2.0], [0.5, 40.0], [0.0, 0.25]],
    {"QSO": 0.5, "STAR": 0.25, "GALAXY": 0.25},
    "small",
)


@pytest.mark.parametrize("suffix", ["fits", "fits.gz", "csv", "ecsv", "parquet"])
def test_a_file_is_read_as_it_was_written(tmp_path, suffix):
    path = SMALL.write(tmp_path / f"mine.{suffix}")
    found = qnet.Population.read(path)
    for name in ("z_edges", "r_edges", "density"):
        np.testing.assert_array_equal(getattr(found, name), getattr(SMALL, name))
    assert found.fractions == SMALL.fractions
    assert found.name == f"mine.{suffix}"
    with pytest.raises(qnet.OutputExistsError):
        SMALL.write(path)


def table(**changes):
    columns = {
        "z_low": [0.0, 2.0, 0.0, 2.0],
        "z_high": [2.0, 4.0, 2.0, 4.0],
        "r_low": [20.0, 20.0, 18.0, 18.0],
        "r_high": [22.0, 22.0, 20.0, 20.0],
        "density": [30.0, 5.0, 10.0, 1.0],
    }
    return Table(
        {name: value for name, value in {**columns, **changes}.items() if value is not None}
    )


def test_a_table_in_any_order():
    found = qnet.Population.from_table(table())
    np.testing.assert_array_equal(found.density, [[10, 30], [1, 5]])
    assert found.fractions == qnet.Population.named("quasar-targets").fractions
    assert found.name == "table"
    # Without magnitudes.
    plain = table(r_low=None, r_high=None)[[1, 0]]
    plain.meta["NAME"] = "mine"
    plain["class"] = ["qso", "qso"]
    plain.add_row((0, 0, 70.0, "star"))
    found = qnet.Population.from_table(plain)
    np.testing.assert_array_equal(found.density, [[30], [5]])
    assert found.fractions == pytest.approx({"QSO": 1 / 3, "STAR": 2 / 3, "GALAXY": 0, "SKY": 0})
    assert found.name == "mine"


BAD = [
    ({"density": None}, r"lacks the column\(s\) DENSITY of a population"),
    ({"r_low": None}, r"lacks the column\(s\) R_LOW of a population"),
    ({"density": [1.0, 2.0, 3.0, np.nan]}, "must be finite and at least 0"),
    ({"density": [1.0, 2.0, 3.0, -1.0]}, "must be finite and at least 0"),
    ({"density": [0.0] * 4}, "not all 0"),
    ({"density": ["a", "b", "c", "d"]}, "column DENSITY holds 'a' of type"),
    ({"z_low": [0.0, 2.0, 0.0, 3.0]}, "has 0 rows for z from|does not follow"),
    ({"z_low": [0.0, 2.5, 0.0, 2.5]}, "bin from Z_LOW 2.5 does not follow the one that ends at"),
    ({"z_low": [0.0, 2.0, 0.0, np.inf]}, "Z_LOW must be below Z_HIGH, and both finite"),
    ({"z_high": [2.0, 4.0, 0.0, 4.0]}, "Z_LOW must be below Z_HIGH, and both finite"),
    ({"z_low": [0.0, 2.0, 0.0, 0.0], "z_high": [2.0, 4.0, 2.0, 2.0]}, "has [02] rows for z from"),
    ({"z_low": [-3.0, 2.0, -3.0, 2.0]}, "z must be redshifts above -1, not -3.0"),
    ({"class": ["QSO", "QSO", "QSO", "DWARF"]}, "column CLASS holds 'DWARF', but one of QSO, STAR"),
    ({"class": ["STAR"] * 4}, "holds no bin of quasars"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
@pytest.mark.parametrize("suffix", [None, "csv", "fits"])
def test_what_is_no_population(tmp_path, changes, message, suffix):
    bad = table(**changes)
    if suffix is None:
        with pytest.raises(InputError, match=message):
            qnet.Population.from_table(bad)
        return
    path = tmp_path / f"bad.{suffix}"
    bad.write(path)
    with pytest.raises(FileError, match=rf"bad\.{suffix}: .*({message})"):
        qnet.Population.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fractions": {"QSO": 0.5}}, "fractions must add up to 1, not 0.5"),
        ({"fractions": {"QSO": 0.0, "STAR": 1.0}}, "fraction of QSO must be between 0 and 1"),
        ({"fractions": {"QSO": 1.0}}, "fraction of QSO must be between 0 and 1, not 1.0"),
        ({"fractions": {"QSO": 0.5, "MOON": 0.5}}, "must name classes among QSO, STAR, .*not MOON"),
        ({"fractions": {"QSO": 1.5, "STAR": -0.5}}, r"fractions\['QSO'\] must be in 0 \.\. 1"),
        ({"fractions": [0.5, 0.5]}, "fractions must be a mapping of classes"),
        ({"density": [[1.0]]}, r"values must have the shape \(3, 2\) of the bins"),
        ({"z_edges": [0.1, 1.0, 0.5, 6.0]}, "z must be two edges or more that increase"),
        ({"r_edges": "bright"}, "r_edges must hold numbers"),
        ({"name": 3}, "name must be text, not 3"),
    ],
)
def test_populations_that_are_not_legal(change, message):
    given = {name: getattr(SMALL, name) for name in ("z_edges", "r_edges", "density")}
    with pytest.raises(InputError, match=message):
        qnet.Population(**{**given, **change})
    with pytest.raises(InputError, match="name must be one of quasar-targets, fibres, not 'stars'"):
        qnet.Population.named("stars")
