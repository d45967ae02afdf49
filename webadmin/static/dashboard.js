// Draws the dashboard's charts from its figures, anew each minute; without it the page has a table.
(() => {
  const charts = document.getElementById("charts");
  if (!charts || !window.uPlot) return;
  const seconds = Number(charts.dataset.seconds);
  const language = document.documentElement.lang;
  const colours = () => (matchMedia("(prefers-color-scheme: dark)").matches ? ["#6cc5cd", "#7fd394", "#ff8a80"] : ["#0b5f66", "#1f7a33", "#b3261e"]);
  const ink = () => getComputedStyle(document.body).color;
  const lines = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "#2a3140" : "#e4e8ec");
  const date = new Intl.DateTimeFormat(language, { dateStyle: "short", timeStyle: "short" });
  const drawn = [];

  const axis = (more) => ({ stroke: ink, grid: { stroke: lines, width: 1 }, ticks: { stroke: lines, width: 1 }, font: "12px system-ui", ...more });
  const ticks = (plot, stamps, _, __, step) => {
    const format = new Intl.DateTimeFormat(language, step >= 86400 ? { month: "numeric", day: "numeric" } : { hour: "2-digit", minute: "2-digit" });
    return stamps.map((stamp) => format.format(stamp * 1000));
  };

  function draw(figure, names, columns) {
    const place = figure.querySelector("div");
    const labels = place.dataset.labels.split("|");
    const wanted = figure.dataset.series.split(" ");
    const data = [columns[0], ...wanted.map((name) => columns[names.indexOf(name)])];
    const series = wanted.map((_, at) => ({ label: labels[at], stroke: () => colours()[at], width: 1.5, spanGaps: false, points: { show: data[0].length < 10 } }));
    const plot = new uPlot({
      width: place.clientWidth, height: 180, cursor: { y: false }, scales: { x: { range: (_, __, last) => { const end = last || Date.now() / 1000; return [end - seconds, end]; } }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1) * 1.1] } },
      series: [{ label: charts.dataset.time, value: (_, stamp) => (stamp == null ? "" : date.format(stamp * 1000)) }, ...series],
      axes: [axis({ values: ticks, space: 60 }), axis({ size: 44 })],
    }, data, place);
    drawn.push({ plot, place, wanted });
  }

  async function figures() {
    const answer = await fetch(charts.dataset.figures, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    return answer.json();
  }

  async function begin() {
    const { names, columns } = await figures();
    charts.hidden = false;
    document.getElementById("table").open = false;
    charts.querySelectorAll("figure").forEach((figure) => draw(figure, names, columns));
    charts.dataset.drawn = "yes";
    new ResizeObserver(() => drawn.forEach(({ plot, place }) => plot.setSize({ width: place.clientWidth, height: 180 }))).observe(charts);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(({ plot }) => plot.redraw()));
    setInterval(async () => {
      if (document.hidden) return;
      const next = await figures().catch(() => null);
      if (next) drawn.forEach(({ plot, wanted }) => plot.setData([next.columns[0], ...wanted.map((name) => next.columns[next.names.indexOf(name)])]));
    }, 60000);
  }
  begin().catch(() => {});
})();
