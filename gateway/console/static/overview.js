// The charts of the overview, by uPlot: each .plot has its series in data-chart; see `gateway.console.time_chart`.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const HEIGHT = 230;
  const FONT = "12px system-ui";
  const style = getComputedStyle(document.documentElement);
  const color = (number) => style.getPropertyValue(number ? `--c${number}` : "--soft").trim();
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
  const written = (value, percent) => (value === null || value === undefined ? "–" : percent ? `${value.toFixed(value && value < 1 ? 2 : 1)}%` : short.format(value));
  const two = (number) => String(number).padStart(2, "0");
  // Sums by day are of UTC days.
  const zoned = (days) => (seconds) => (days ? uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : new Date(seconds * 1000));

  // The top of each layer. Each is drawn from zero, the highest first, so that the layers below cover the rest.
  function layers(series) {
    let below = series[0].values.map(() => 0);
    return series.map((one) => (below = one.values.map((value, i) => value + below[i])));
  }

  function draw(element) {
    const chart = JSON.parse(element.dataset.chart);
    if (!chart.series.length) return element.remove();
    const tops = chart.stacked ? layers(chart.series) : chart.series.map((one) => one.values);
    const order = chart.series.map((_, i) => i);
    if (chart.stacked) order.reverse();
    const local = zoned(chart.days);
    const day = (date) => `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const hour = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;
    const axis = { stroke: color(0), grid: { stroke: style.getPropertyValue("--line").trim(), width: 1 }, ticks: { show: false }, font: FONT, labelFont: FONT };
    const bars = uPlot.paths.bars({ size: [0.82, 60], align: 1 });
    const series = order.map((i) => {
      const { name, color: number, percent, values } = chart.series[i];
      const look = percent ? { scale: "%", width: 1.5, spanGaps: true } : { width: 0, fill: color(number), paths: bars };
      return { label: name, stroke: color(number), points: { show: false }, value: (_, value, __, at) => written(at === null ? null : values[at], percent), ...look };
    });
    const axes = [
      { ...axis, values: (_, times) => times.map((time) => (chart.days || !(local(time).getHours() + local(time).getMinutes()) ? day(local(time)) : hour(local(time)))) },
      { ...axis, size: 50, label: chart.unit, labelSize: 20, values: (_, values) => values.map((value) => short.format(value)) },
    ];
    // A bar stands to the right of the time at which its hour or day begins.
    const first = chart.times[0], last = chart.times.at(-1);
    const step = chart.times.length > 1 ? chart.times[1] - first : 3600;
    const scales = { x: { range: () => [first, last + step] }, y: { range: (_, low, high) => [0, (high || 1) * 1.03] } };
    if (chart.series.some((one) => one.percent)) {
      axes.push({ ...axis, scale: "%", side: 1, size: 46, grid: { show: false }, values: (_, values) => values.map((value) => `${short.format(value)}%`) });
      scales["%"] = { range: (_, low, high) => [0, Math.max(1, high * 1.2)] };
    }
    const options = {
      width: element.clientWidth,
      height: HEIGHT,
      tzDate: local,
      series: [{ label: chart.days ? "day, UTC" : "hour", value: (_, time) => (time === null ? "–" : chart.days ? day(local(time)) : `${day(local(time))} ${hour(local(time))}`) }, ...series],
      axes,
      scales,
      cursor: { drag: { x: false, y: false } },
    };
    const plot = new uPlot(options, [chart.times, ...order.map((i) => tops[i])], element);
    new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT })).observe(element);
  }

  for (const element of document.querySelectorAll(".plot[data-chart]")) draw(element);
  // Colours are drawn into the picture: another scheme needs another one.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
});
