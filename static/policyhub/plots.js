// The interactive charts. The numbers and every text come from the page, as JSON in a
// hidden element (htmx lets no script element in, whatever its type); without this
// script the server's SVG and the tables say the same.
"use strict";
{
  const live = new Set();
  // Half a token is none: steps of a scale are whole but for money.
  const WHOLE = Array.from({ length: 17 }, (_, n) => [1, 2, 5].map((each) => each * 10 ** n)).flat();

  // Tokens are `light-dark(…)`: only a computed colour says which of the two is meant.
  const ink = (box) => (name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    box.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const amounts = (metric) => {
    const language = document.documentElement.lang || "en";
    const style = { notation: "compact", maximumFractionDigits: 2 };
    const money = metric === "cost" ? { style: "currency", currency: "USD" } : {};
    const format = new Intl.NumberFormat(language, { ...style, ...money });
    return (value) => format.format(metric === "cost" ? value / 1e6 : value);
  };

  const base = (box, data, colour) => {
    const count = data.labels.length;
    const font = `12px ${getComputedStyle(box).fontFamily}`;
    const text = { stroke: colour("--soft"), font, ticks: { show: false } };
    const grid = { stroke: colour("--line"), width: 1 };
    const say = amounts(data.metric);
    return {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: false, range: () => [data.edge ?? -0.5, count - 1 - (data.edge ?? -0.5)] },
        y: { range: () => [0, data.tops[0]] },
        sum: { range: () => [0, data.tops[1] ?? data.tops[0]] },
      },
      axes: [
        {
          ...text, grid: { show: false }, space: 90, size: 34,
          incrs: [1, 2, 3, 4, 6, 7, 12, 14, 24, 28, 48, 72, 96, 168, 336, 720],
          values: (_, places) => places.map((at) => data.labels[at] ?? ""),
        },
        { ...text, grid, size: 64, incrs: data.metric === "cost" ? undefined : WHOLE, values: (_, places) => places.map(say) },
      ],
    };
  };

  const named = (u, text, stroke, paper, at) => {
    const size = 11 * devicePixelRatio;
    u.ctx.font = `600 ${size}px ${getComputedStyle(u.root).fontFamily}`;
    u.ctx.textAlign = "left";
    u.ctx.lineWidth = 4 * devicePixelRatio;
    u.ctx.strokeStyle = paper;
    u.ctx.fillStyle = stroke;
    const place = [text.slice(0, 40), u.bbox.left + size / 2, Math.max(at - size / 2, u.bbox.top + size)];
    u.ctx.strokeText(...place);
    u.ctx.fillText(...place);
  };

  const dashed = (u, colour, y, scale, dash, paper, text = "") => {
    const at = Math.round(u.valToPos(y, scale, true));
    u.ctx.save();
    u.ctx.strokeStyle = colour;
    u.ctx.lineWidth = 2 * devicePixelRatio;
    u.ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
    u.ctx.beginPath();
    u.ctx.moveTo(u.bbox.left, at);
    u.ctx.lineTo(u.bbox.left + u.bbox.width, at);
    u.ctx.stroke();
    u.ctx.setLineDash([]);
    if (text) named(u, text, colour, paper, at);
    u.ctx.restore();
  };

  // What is held is told by its strokes, not by its colour alone.
  const hatched = (colour) => {
    const tile = document.createElement("canvas");
    const size = (tile.width = tile.height = Math.round(7 * devicePixelRatio));
    const pen = tile.getContext("2d");
    pen.fillStyle = colour("--fill-held");
    pen.fillRect(0, 0, size, size);
    pen.strokeStyle = colour("--hatch");
    pen.lineWidth = 1.25 * devicePixelRatio;
    pen.beginPath();
    for (const at of [-size, 0, size]) {
      pen.moveTo(at - 2, size + 2);
      pen.lineTo(at + size + 2, -2);
    }
    pen.stroke();
    return pen.createPattern(tile, "repeat");
  };

  // Bars upon each other: each series is the sum of those below it, drawn behind them.
  const usage = (box, data, colour) => {
    const options = base(box, data, colour);
    const say = amounts(data.metric);
    const sums = [];
    data.parts.forEach((part, n) =>
      sums.push(part.values.map((value, at) => value + (n ? sums[n - 1][at] : 0))));
    const bars = uPlot.paths.bars({ size: [0.76, 64], gap: 0 });
    const still = { points: { show: false } };
    const boxes = sums.map((_, n) => {
      const fill = colour(data.parts[n].other ? "--part-other" : `--part-${n}`);
      return { ...still, paths: bars, fill, width: 0, scale: "y" };
    });
    const ghost = { ...still, stroke: colour("--soft"), width: 1.5, dash: [2, 4], scale: "y" };
    const pattern = hatched(colour);
    const total = { ...still, stroke: colour("--ink"), width: 1.5, scale: "sum" };
    const held = data.held ? [{ ...still, paths: bars, fill: () => pattern, width: 0, scale: "y" }] : [];
    options.series = [{}, ...held, ...boxes.reverse(), ...(data.ghost.length ? [ghost] : []), total];
    options.axes.push({
      ...options.axes[1], scale: "sum", side: 1, grid: { show: false },
      values: (_, places) => places.map(say),
    });
    options.axes[1].scale = "y";
    const shade = (u) => {
      u.ctx.save();
      u.ctx.fillStyle = colour("--stay");
      for (const [first, last] of data.stays) {
        const left = u.valToPos(first - 0.5, "x", true);
        const width = Math.max(2, u.valToPos(last - 0.5, "x", true) - left);
        u.ctx.fillRect(left, u.bbox.top, width, u.bbox.height);
      }
      u.ctx.restore();
    };
    const [red, paper] = [colour("--bad"), colour("--surface")];
    const lines = (u) => {
      for (const cap of data.caps)
        dashed(u, red, cap.value, cap.total ? "sum" : "y", cap.solid ? [] : [6, 5], paper, cap.name);
    };
    const pins = (u) => {
      u.over.querySelectorAll(".pin").forEach((each) => each.remove());
      for (const mark of data.marks) {
        const pin = document.createElement("a");
        pin.className = mark.fired ? "pin fired" : "pin";
        pin.href = mark.href;
        pin.title = mark.text;
        // The list beside the chart is their way for keyboards; here they would be many.
        pin.tabIndex = -1;
        pin.setAttribute("aria-hidden", "true");
        pin.style.left = `${u.valToPos(mark.x - 0.5, "x")}px`;
        u.over.append(pin);
      }
    };
    options.hooks = { drawClear: [shade], draw: [lines], setSize: [pins], ready: [pins] };
    const columns = [data.labels.map((_, n) => n)];
    const last = data.labels.length - 1;
    if (data.held) columns.push(data.labels.map((_, n) => (n === last ? sums.at(-1)[n] + data.held : null)));
    columns.push(...sums.reverse());
    if (data.ghost.length) columns.push(data.ghost);
    return [options, [...columns, data.total]];
  };

  // What is left: so far, evenly to the end, and where it is going with its range.
  const burn = (box, data, colour) => {
    const options = base(box, data, colour);
    const line = (stroke, width, dash) => ({
      points: { show: false }, stroke, width, dash, scale: "y",
    });
    const none = line("transparent", 0);
    options.series = [
      {},
      line(colour("--soft"), 1.5, [6, 5]),
      none,
      none,
      line(colour("--fill-calm"), 2, [3, 4]),
      { ...line(colour("--fill-calm"), 2), fill: colour("--wash-calm") },
    ];
    options.bands = [{ series: [2, 3], fill: colour("--cone") }];
    options.axes[1].scale = "y";
    options.axes[0].space = 150;
    // A text is as wide as its half to the right of its place, or it is left out.
    options.axes[0].values = (u, places) => places.map((at) => {
      const { min, max } = u.scales.x;
      const room = ((max - at) / (max - min)) * (box.clientWidth - 90);
      return room < 36 ? "" : data.labels[at] ?? "";
    });
    const now = (u) => {
      const at = Math.round(u.valToPos(data.now, "x", true));
      u.ctx.save();
      u.ctx.strokeStyle = colour("--edge");
      u.ctx.lineWidth = devicePixelRatio;
      u.ctx.beginPath();
      u.ctx.moveTo(at, u.bbox.top);
      u.ctx.lineTo(at, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
      u.ctx.restore();
    };
    options.hooks = { drawClear: [now] };
    const places = data.labels.map((_, n) => n);
    return [options, [places, data.ideal, data.most, data.least, data.middle, data.left]];
  };

  const kinds = { usage, burn };

  const keys = (box, u, data, readout) => {
    let place = -1;
    const tell = (at) => {
      if (readout) readout.textContent = data.told[at] ?? "";
    };
    const go = (at) => {
      place = Math.max(0, Math.min(data.labels.length - 1, at));
      readout?.setAttribute("aria-live", "polite");
      u.setCursor({ left: u.valToPos(place, "x"), top: u.over.clientHeight / 3 }, false);
      tell(place);
    };
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.onkeydown = (event) => {
      const last = data.labels.length - 1;
      const from = place < 0 ? data.start ?? last + 1 : place;
      const steps = {
        ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last,
        PageUp: from - 7, PageDown: from + 7,
      };
      const mark = data.marks?.find((each) => Math.floor(each.x) === place);
      if (event.key === "Enter" && mark) location.assign(mark.href);
      if (!(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(steps[event.key]);
    };
    box.onblur = () => u.setCursor({ left: -10, top: -10 }, false);
    u.over.addEventListener("mousemove", () => {
      if (u.cursor.idx == null) return;
      place = u.cursor.idx;
      // A pointer's way would be read out without end.
      readout?.setAttribute("aria-live", "off");
      tell(place);
    });
  };

  const draw = (box) => {
    const source = document.getElementById(box.dataset.plot);
    if (!source || box.plot) return;
    const data = JSON.parse(source.textContent);
    const [options, columns] = kinds[box.dataset.kind](box, data, ink(box));
    box.classList.add("drawn");
    const u = new uPlot(options, columns, box);
    box.plot = u;
    keys(box, u, data, box.parentElement.querySelector("[data-readout]"));
    const watch = new ResizeObserver(() => {
      const [width, height] = [box.clientWidth, box.clientHeight];
      if (width && (width !== u.width || height !== u.height)) u.setSize({ width, height });
    });
    watch.observe(box);
    live.add(box);
    box.forget = () => {
      watch.disconnect();
      u.destroy();
      live.delete(box);
      delete box.plot;
    };
  };

  const drawAll = () => {
    for (const box of live) if (!box.isConnected) box.forget();
    document.querySelectorAll("[data-plot]").forEach(draw);
  };

  addEventListener("DOMContentLoaded", drawAll);
  addEventListener("htmx:afterSettle", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const box of [...live]) box.forget();
    drawAll();
  });
}
