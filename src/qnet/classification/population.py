"""Populations: the kinds of objects, and the quasars by redshift and magnitude, expected."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from qnet.classification.luminosity_function import surface_density
from qnet.classification.population_table import CLASSES, COLUMNS, read_bins, wrong_table
from qnet.core.arguments import check_arguments
from qnet.core.arrays import Columns, FloatArray, as_floats
from qnet.core.checks import check_fraction, check_text
from qnet.core.density import QuasarDensity
from qnet.core.errors import InputError, first_few, shown
from qnet.core.files import PathLike, as_path, is_path
from qnet.io.columns import filled
from qnet.io.objects.tables import is_table, table_columns
from qnet.io.tables import find_format, read_columns, upper_names, write_table

if TYPE_CHECKING:
    from astropy.table import Table

#: Fraction of each class, by the name of a population, with a tenth of the fibres on the sky. The
#: targets of quasar surveys, the mean of two: of BOSS's about half are quasars, nearly all others
#: stars (Ross et al. 2012, ApJS 199, 3); of DESI's 71 % are quasars, 16 % galaxies, 6 % stars and
#: 7 % inconclusive (Chaussidon et al. 2023, ApJ 944, 107), which are counted as sky. All fibres:
#: DESI has 13.1 million galaxies, 4 million stars and 1.6 million quasars (DESI Collaboration 2025,
#: arXiv:2503.14745).
PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "quasar-targets": {"QSO": 0.55, "STAR": 0.23, "GALAXY": 0.09, "SKY": 0.13},
        "fibres": {"QSO": 0.08, "STAR": 0.19, "GALAXY": 0.63, "SKY": 0.10},
    }
)

#: The population that is assumed where none is named, and the name of the training sample's.
DEFAULT, TRAINING = "quasar-targets", "training"

#: Redshifts and magnitudes of the populations made here, and their steps [dex, mag].
_Z, _R, _Z_STEP, _R_STEP = (0.01, 6.8), (13.0, 24.0), 0.01, 0.25

#: Fraction of the quasars of each magnitude that are at any redshift, equally in ln(1 + z): what a
#: luminosity function does not know, such as lensed quasars and programs for rare ones.
RARE = 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    r"""Expected population: density of quasars by redshift and magnitude, and class fractions.

    `qnet.classify` takes it as `prior`: its redshifts and P_QSO then assume this population.

    Parameters
    ----------
    z_edges : array_like, shape (nz + 1,)
        Edges of the redshift bins, increasing.
    r_edges : array_like, shape (nr + 1,)
        Edges of the bins of r magnitude (AB, without absorption by intergalactic hydrogen),
        increasing.
    density : array_like, shape (nz, nr)
        Quasars per square degree in each bin. Any other unit is allowed, because only ratios
        matter.
    fractions : mapping of str to float, optional
        Fraction of each class, QSO, STAR, GALAXY and SKY; the sum is 1. Those of 'quasar-targets'
        when None.
    name : str
        Name, for the header of the catalogue.

    Raises
    ------
    InputError
        Edges do not increase, a density is negative or not finite, or fractions are not legal.

    Notes
    -----
    The density of the named populations is that of the luminosity function of Palanque-Delabrouille
    et al. (2016, A&A 587, A41), of :math:`M = M_g(z{=}2)`, per comoving Mpc\ :sup:`3` and
    magnitude:

    .. math::

        \Phi = \frac{\Phi^*}{10^{0.4 (\alpha + 1)(M - M^*)} + 10^{0.4 (\beta + 1)(M - M^*)}}

    with :math:`\beta = -1.47`, and below the pivot, :math:`z \le 2.2`,
    :math:`\log_{10} \Phi^* = -5.93`, :math:`\alpha = -3.89` and
    :math:`M^* = -22.25 - 2.5 (1.59 z - 0.36 z^2)`; above it, with :math:`x = z - 2.2`,
    :math:`\log_{10} \Phi^* = -5.93 - 0.46 x - 0.06 x^2`, :math:`\alpha = -3.89 + 0.32 x` and
    :math:`M^* = M^*(2.2) - 0.14 x` (their equations 6 to 10, table 4, PLE + LEDE). It was fitted at
    0.68 < z < 4 and g < 22.5, and is continued here to 0.01 < z < 6.8. At z = 4.9 and 6 it agrees
    within a factor of 1.6 with McGreer et al. (2013, ApJ 768, 105) and Matsuoka et al. (2018, ApJ
    869, 150) for :math:`M_{1450} < -24`.

    With the k-correction of :math:`f_\nu \sim \nu^{-0.5}` (Richards et al. 2006, AJ 131, 2766),

    .. math::

        M = r - DM(z) + 1.25 \log_{10} \frac{1 + z}{3}
            + 1.25 \log_{10} \frac{6165}{4670} + 2.5 \log_{10}(1 + h)

    for a nucleus of total magnitude r, with h the ratio of host to nucleus: that of Shen et al.
    (2011, ApJS 194, 45, equation 1) at 5100 Angstrom, continued to fainter quasars with a slope of
    -0.75, times :math:`(\lambda / 5100)^{4.5}` at shorter wavelengths. The counts are
    :math:`\Phi \, |dM/dr| \, dV/dz` in a flat universe (Planck Collaboration 2020). One quasar in a
    hundred of each magnitude may have any redshift, uniformly in ln(1 + z), so that lensed or
    variable quasars are not excluded.

    See Also
    --------
    qnet.classify : takes a population as `prior`.

    Examples
    --------
    >>> import qnet
    >>> population = qnet.Population.named("fibres")
    >>> population.fractions["QSO"]
    0.08
    >>> r = population.r_edges
    >>> bright = population.density[:, r[1:] <= 22.0].sum()
    >>> print(f"{bright:.0f} quasars per square degree at r < 22")
    184 quasars per square degree at r < 22

    Quasars of a survey of one redshift range:

    >>> narrow = qnet.Population([2.0, 3.0, 4.0], [18.0, 22.0], [[30.0], [5.0]])
    >>> narrow
    <Population: 2 x 1 bins, z 2 to 4, r 18 to 22; QSO 0.55, STAR 0.23, GALAXY 0.09, SKY 0.13>
    """

    z_edges: FloatArray
    r_edges: FloatArray
    density: FloatArray
    fractions: Mapping[str, float] = None  # type: ignore[assignment]  # set in __post_init__
    name: str = ""

    def __post_init__(self) -> None:
        check_text("name", self.name)
        for field, ndim in (("z_edges", 1), ("r_edges", 1), ("density", 2)):
            object.__setattr__(self, field, as_floats(field, getattr(self, field), ndim=ndim))
        _ = self.quasars
        fractions = PRESETS[DEFAULT] if self.fractions is None else self.fractions
        object.__setattr__(self, "fractions", check_fractions(fractions))

    @property
    def quasars(self) -> QuasarDensity:
        """The density of the quasars."""
        return QuasarDensity(self.z_edges, self.r_edges, self.density)  # type: ignore[arg-type]

    @classmethod
    def named(cls, name: str) -> Population:
        """A population by its name: 'quasar-targets' or 'fibres'.

        Parameters
        ----------
        name : str

        Returns
        -------
        Population

        Raises
        ------
        InputError
            There is none of that name.
        """
        check_arguments(Population.named, locals())
        if name not in PRESETS:
            raise InputError(f"name must be one of {', '.join(PRESETS)}, not {shown(name)}")
        first, last = np.log10(1 + np.array(_Z))
        x = np.linspace(first, last, round((last - first) / _Z_STEP) + 1)
        r = np.arange(_R[0], _R[1] + _R_STEP / 2, _R_STEP)
        z = 10**x - 1
        middle = 10 ** ((x[1:] + x[:-1]) / 2) - 1
        counts = surface_density((r[1:] + r[:-1]) / 2, middle[:, None]) * _R_STEP
        counts *= np.diff(z)[:, None]
        counts = (1 - RARE) * counts + RARE * counts.mean(axis=0)
        return cls(z, r, counts, PRESETS[name], name)

    @classmethod
    def read(cls, path: PathLike) -> Population:
        """Read a population from a table: .fits (.fits.gz), .csv, .ecsv or .parquet.

        Parameters
        ----------
        path : str or path
            A table in HDU 1 with a row for each bin of redshift and magnitude, in any order: Z_LOW,
            Z_HIGH, R_LOW, R_HIGH, and DENSITY, the quasars per square degree in the bin. Without
            R_LOW and R_HIGH the density does not depend on magnitude. A column CLASS, if there is
            one, is QSO in these rows. Further rows STAR, GALAXY and SKY have the total of the class
            in DENSITY (their bins are not read). The fractions are then those of the sums.

        Returns
        -------
        Population

        Raises
        ------
        MissingFileError, FileError
            The file is missing or damaged, lacks a column, or a density is not valid.
        """
        check_arguments(Population.read, locals())
        file = as_path(path, "path")
        return _from_columns(read_columns(file, "a population", COLUMNS), file, file.name)

    @classmethod
    def from_table(cls, table: Table, name: str = "") -> Population:
        """A population from an astropy Table with the columns that `read` describes.

        Parameters
        ----------
        table : astropy.table.Table
        name : str
            Name, for the header of the catalogue; that of the table's meta, NAME, when ''.

        Returns
        -------
        Population

        Raises
        ------
        InputError
            The table lacks a column, or a density is not valid.
        """
        check_arguments(Population.from_table, {"name": name})
        found = table_columns("table", table)
        columns = {key: filled(found[key], key) for key in found if key.upper() in COLUMNS}
        upper = dict(zip(upper_names(list(columns), "table"), columns.values(), strict=True))
        meta = getattr(table, "meta", {})
        return _from_columns(upper, None, name or str(meta.get("NAME", "table")))

    def write(self, path: PathLike, *, overwrite: bool = False) -> Path:
        """Write the population as a table; `read` is the inverse.

        Parameters
        ----------
        path : str or path
            .fits (.fits.gz), .csv, .ecsv or .parquet.
        overwrite : bool
            Whether an existing file may be replaced.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            The suffix is another one, or the format needs a package that is not installed.
        OutputExistsError, FileError
            The file exists already, or cannot be written.
        """
        check_arguments(Population.write, locals())
        shape = self.density.shape
        others = [x for x in CLASSES if x != "QSO" and self.fractions[x] > 0]
        all_objects = self.density.sum() / self.fractions["QSO"]

        def column(edges: FloatArray, axis: int) -> FloatArray:
            values = np.broadcast_to(np.expand_dims(edges, axis), shape).ravel()
            return np.append(values, np.full(len(others), np.nan))

        columns = {
            "CLASS": np.array(["QSO"] * self.density.size + others),
            "Z_LOW": column(self.z_edges[:-1], 1),
            "Z_HIGH": column(self.z_edges[1:], 1),
            "R_LOW": column(self.r_edges[:-1], 0),
            "R_HIGH": column(self.r_edges[1:], 0),
            "DENSITY": np.append(
                self.density.ravel(), [self.fractions[x] * all_objects for x in others]
            ),
        }
        return write_table(path, columns, extname="POPULATION", overwrite=overwrite)

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        nz, nr = self.density.shape
        return (
            f"<Population{name}: {nz} x {nr} bins, z {self.z_edges[0]:g} to {self.z_edges[-1]:g}, "
            f"r {self.r_edges[0]:g} to {self.r_edges[-1]:g}; {in_words(self.fractions)}>"
        )


def in_words(fractions: Mapping[str, float]) -> str:
    """Fractions of classes, as the header has them."""
    return ", ".join(f"{name} {part:.6g}" for name, part in fractions.items())


def check_fractions(fractions: object) -> dict[str, float]:
    """Fraction of each of `CLASSES`, checked; 0 for one that is not named."""
    if not isinstance(fractions, Mapping):
        raise InputError(f"fractions must be a mapping of classes, not {shown(fractions)}")
    if unknown := [name for name in fractions if name not in CLASSES]:
        raise InputError(
            f"fractions must name classes among {', '.join(CLASSES)}, not {first_few(unknown)}"
        )
    for name, part in fractions.items():
        check_fraction(f"fractions[{name!r}]", part)
    found = {name: float(fractions.get(name, 0.0)) for name in CLASSES}
    if not 0 < found["QSO"] < 1:
        raise InputError(f"the fraction of QSO must be between 0 and 1, not {found['QSO']!r}")
    if not math.isclose(sum(found.values()), 1, abs_tol=1e-3):
        raise InputError(f"fractions must add up to 1, not {sum(found.values()):g}")
    return found


def as_population(prior: Any) -> Population | None:
    """The argument `prior`: a name, a file, a table or a population; None for the training's."""
    if isinstance(prior, Population):
        return prior
    if is_table(prior):
        return Population.from_table(prior)
    if isinstance(prior, str) and prior == TRAINING:
        return None
    if isinstance(prior, str) and prior in PRESETS:
        return Population.named(prior)
    if is_path(prior) and (find_format(prior) or os.path.exists(prior)):
        return Population.read(prior)
    raise InputError(
        f"prior must be one of {', '.join((*PRESETS, TRAINING))}, a population's file (.fits, "
        f".csv, .ecsv or .parquet), an astropy Table or a Population, not {shown(prior)}"
    )


def _from_columns(columns: Columns, path: Path | None, name: str) -> Population:
    """The population of the columns of a table."""
    z_edges, r_edges, density, fractions = read_bins(columns, path)
    try:
        return Population(z_edges, r_edges, density, fractions, name)  # type: ignore[arg-type]
    except InputError as error:
        raise wrong_table(path, str(error)) from error
