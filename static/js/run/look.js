// The colours and type of charts, read from the page's own custom properties, so that charts follow the theme.

/** Colours as they are now. `curves` are the categorical ones, in order. */
export function chartColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    ink: read("--th-ink"),
    muted: read("--th-ink-2"),
    line: read("--th-line"),
    raised: read("--th-raised"),
    font: read("--th-sans"),
    curves: [1, 2, 3, 4, 5, 6].map((place) => read(`--run-curve-${place}`)),
  };
}

/** Plotly's layout for one chart. `axis` is "step", "relative" or "wall". */
export function chartLayout({ colours, axis, xTitle, isLog, fromZero, height, hasLegend, revision }) {
  const grid = { gridcolor: colours.line, linecolor: colours.line, zeroline: false, automargin: true };
  return {
    height,
    autosize: true,
    margin: { l: 48, r: 12, t: hasLegend ? 26 : 8, b: 38 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: colours.font, size: 11, color: colours.muted },
    showlegend: hasLegend,
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: colours.ink }, bgcolor: "rgba(0,0,0,0)" },
    hovermode: "x unified",
    hoverlabel: { bgcolor: colours.raised, bordercolor: colours.line, font: { color: colours.ink, family: colours.font } },
    xaxis: {
      ...grid,
      showgrid: false,
      ticks: "outside",
      tickcolor: colours.line,
      ticklen: 4,
      type: axis === "wall" ? "date" : "linear",
      title: { text: xTitle, standoff: 6, font: { size: 11 } },
    },
    yaxis: { ...grid, type: isLog ? "log" : "linear", rangemode: fromZero ? "tozero" : "normal", nticks: 6, exponentformat: "power" },
    dragmode: "zoom",
    uirevision: revision,
  };
}

export const CONFIG = {
  displaylogo: false,
  responsive: true,
  doubleClick: "reset",
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};
