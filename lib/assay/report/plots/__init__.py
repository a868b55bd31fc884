"""Figures as functions of rows or arrays; nothing here trains or reads a file.

Every mark is named beside it or in a key with its shape, so no meaning is
carried by color alone; colors are those of Okabe and Ito, which colorblind
readers tell apart.
"""

import io

from assay import disk
from assay.report import drawing
from assay.report.plots.arms import against, comparison, paired_differences
from assay.report.plots.arrays import (
    bars,
    curves,
    reliability_diagram,
    risk_coverage_curves,
)
from assay.report.plots.sweeps import heat_map, sweep

__all__ = [
    'against', 'arms', 'arrays', 'bars', 'chosen', 'comparison', 'curves',
    'heat_map', 'paired_differences', 'reliability_diagram',
    'risk_coverage_curves', 'save', 'sweep', 'sweeps']


def save(figure, path):
  """Writes a PNG at 150 dots per inch, all or nothing."""
  buffer = io.BytesIO()
  # Without the version of matplotlib equal figures are equal bytes.
  drawing.literal(figure).savefig(buffer, format='png', dpi=150,
                                  metadata={'Software': None})
  disk.write_bytes(path, buffer.getvalue())
