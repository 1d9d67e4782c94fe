// Charts: numbers from data-chart, drawn by uPlot, in the colours of the page; drawn anew when either changes.
(function () {
  "use strict";

  var probe;
  function colour(name, alpha) {
    if (!probe) { probe = document.createElement("span"); probe.hidden = true; document.body.append(probe); }
    probe.className = "ink-" + name;
    var found = getComputedStyle(probe).color;
    return alpha === undefined ? found : found.replace(/^rgba?\(([^)]+)\)$/, function (_, parts) {
      return "rgba(" + parts.split(",").slice(0, 3).join(",") + "," + alpha + ")";
    });
  }
  function font() { return "12px " + getComputedStyle(document.body).fontFamily; }
  function axis(more) {
    return Object.assign({
      stroke: colour("quiet"), font: font(), gap: 6, size: 28,
      grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }
    }, more);
  }
  // Times in UTC, one line: seconds, minutes or days, whatever the ticks stand apart.
  function times(self, ticks, place, space, apart) {
    var long = self.scales.x.max - self.scales.x.min > 86400;
    var years = self.scales.x.max - self.scales.x.min > 2 * 31557600;
    return ticks.map(function (one) {
      var iso = new Date(one * 1e3).toISOString();
      if (years) return iso.slice(0, 7);
      if (apart >= 86400) return iso.slice(5, 10);
      return (long ? iso.slice(5, 10) + " " : "") + (apart >= 60 ? iso.slice(11, 16) : iso.slice(11, 19));
    });
  }
  function timeAxis() { return axis({ values: times, space: 92 }); }
  function number(value) {
    if (value === null || value === undefined) return "–";
    return Math.abs(value) >= 10 ? Number(value.toPrecision(4)).toLocaleString("en") : value.toFixed(4);
  }
  function width(values) {
    return Math.max.apply(null, (values || [""]).map(function (one) { return one.length; })) * 7.2 + 14;
  }
  var UTC = function (seconds) { return uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"); };
  var fine = function (self, values) { return width(values); };

  // Marks: a dashed line at each promotion, with the version on top; a second one on the same spot loses its word.
  function marks(list) {
    return { hooks: { draw: [function (plot) {
      var ink = plot.ctx, ratio = devicePixelRatio, last = -Infinity;
      ink.save();
      ink.font = 11 * ratio + "px " + getComputedStyle(document.body).fontFamily;
      ink.textAlign = "center";
      list.forEach(function (mark) {
        var x = Math.round(plot.valToPos(mark.x, "x", true));
        ink.strokeStyle = ink.fillStyle = colour(mark.kind === "rollback" ? "bad" : "good");
        ink.lineWidth = ratio;
        ink.setLineDash([3 * ratio, 3 * ratio]);
        ink.beginPath(); ink.moveTo(x, plot.bbox.top); ink.lineTo(x, plot.bbox.top + plot.bbox.height); ink.stroke();
        if (x - last > 26 * ratio) { ink.fillText(mark.label, x, plot.bbox.top - 5 * ratio); last = x; }
      });
      ink.restore();
    }] } };
  }

  function quality(data) {
    var line = { spanGaps: true, points: { show: false } };
    var value = function (self, raw) { return number(raw); };
    return {
      options: {
        padding: [18, 10, 0, 0],
        scales: { x: { range: function (self, low, high) { return data.x.length === 1 ? [data.x[0] - 3600, data.x[0] + 3600] : [low, high]; } },
          y: { range: function (self, low, high) { var room = (high - low) * 0.08 || 0.01; return [low - room, high + room]; } } },
        series: [
          { label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
          Object.assign({ label: "low", show: true, stroke: "transparent" }, line, { value: value }),
          Object.assign({ label: "high", stroke: "transparent" }, line, { value: value }),
          Object.assign({ label: "est. low", stroke: "transparent" }, line, { value: value }),
          Object.assign({ label: "est. high", stroke: "transparent" }, line, { value: value }),
          Object.assign({}, line, { label: "promised", stroke: colour("promise"), width: 1.5, dash: [2, 4], paths: uPlot.paths.stepped({ align: 1 }), value: value }),
          Object.assign({}, line, { label: "estimated", stroke: colour("estimate"), width: 1.5, dash: [6, 4], points: { show: data.x.length < 80, size: 5 }, value: value }),
          Object.assign({}, line, { label: "live", stroke: colour("live"), width: 2, points: { show: data.x.length < 40, size: 5 }, value: value })
        ],
        bands: [{ series: [2, 1], fill: colour("live", 0.13) }, { series: [4, 3], fill: colour("estimate", 0.12) }],
        axes: [timeAxis(), axis({ size: fine, values: function (self, ticks) { return ticks.map(function (one) { return one.toLocaleString("en", { maximumFractionDigits: 4 }); }); } })],
        plugins: [marks(data.marks)]
      },
      rows: [data.x, data.live_low, data.live_high, data.estimate_low, data.estimate_high, data.promise, data.estimate, data.live],
      told: [7, 6, 5]
    };
  }

  function search(data) {
    var dots = data.engines.map(function (engine, place) {
      return { label: engine, stroke: colour("e" + place % 4), paths: function () { return null; }, points: { show: true, size: 8, fill: colour("e" + place % 4, 0.55), width: 1 }, value: function (self, raw) { return number(raw); } };
    });
    return {
      options: {
        padding: [10, 10, 0, 0],
        scales: { x: { time: false }, y: { range: function (self, low, high) {
          if (data.edge !== null && data.edge > low && data.edge < high) { if (data.lower_is_better) high = data.edge; else low = data.edge; }
          var room = (high - low) * 0.08 || 0.01; return [low - room, high + room]; } } },
        series: [{ label: "second", value: function (self, raw) { return raw === null ? "–" : raw.toFixed(1) + " s"; } }]
          .concat(dots, [{ label: "best so far", stroke: colour("ink"), width: 1.5, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false }, value: function (self, raw) { return number(raw); } }]),
        axes: [axis({ space: 80, values: function (self, ticks) { return ticks.map(function (one) { return +one.toFixed(2) + " s"; }); } }),
          axis({ size: fine, values: function (self, ticks) { return ticks.map(function (one) { return one.toLocaleString("en", { maximumFractionDigits: 4 }); }); } })]
      },
      rows: [data.x].concat(data.scores, [data.best]),
      told: data.engines.map(function (_, place) { return place + 1; }).concat([data.engines.length + 1])
    };
  }

  function traffic(data) {
    var bar = uPlot.paths.bars({ size: [0.78, 28], radius: 0.12 });
    var whole = function (self, raw) { return raw === null ? "–" : raw.toLocaleString("en"); };
    var shown = function (self, ticks) { return ticks.map(function (one) { return one >= 1e6 ? one / 1e6 + "M" : one >= 1e3 ? one / 1e3 + "k" : String(one); }); };
    return {
      options: {
        padding: [10, 10, 0, 0],
        scales: { x: { range: function (self, low, high) { return [low - data.seconds * 0.6, high + data.seconds * 0.6]; } }, y: { range: function (self, low, high) { return [0, Math.max(high, 1) * 1.08]; } } },
        series: [{ label: "UTC", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
          { label: "answers", stroke: colour("live"), fill: colour("live", 0.35), width: 1, paths: bar, points: { show: false }, value: whole },
          { label: "truths", stroke: colour("estimate"), width: 1.5, points: { show: false }, value: whole }],
        axes: [timeAxis(), axis({ size: fine, values: shown })]
      },
      rows: [data.x, data.predictions, data.truths], told: [1, 2]
    };
  }

  function lines(data) {
    var told = data.names.map(function (name, place) {
      return { label: name, stroke: colour("e" + place % 4), width: 2, spanGaps: true, points: { show: true, size: 5 }, value: function (self, raw) { return number(raw); } };
    });
    return {
      options: {
        padding: [10, 10, 0, 0], scales: { x: { time: false } },
        series: [{ label: "window", value: function (self, raw) { return "window " + raw; } }].concat(told),
        axes: [axis(), axis({ size: fine, values: function (self, ticks) { return ticks.map(function (one) { return one.toLocaleString("en", { maximumFractionDigits: 4 }); }); } })]
      },
      rows: [data.x].concat(data.lines), told: data.names.map(function (_, place) { return place + 1; })
    };
  }

  function forecast(data) {
    var value = function (self, raw) { return number(raw); }, line = { spanGaps: true, points: { show: false }, value: value };
    return {
      options: {
        padding: [10, 10, 0, 0],
        scales: { x: { time: data.in_time } },
        series: [data.in_time ? { label: "UTC" } : { label: "time", value: function (self, raw) { return String(raw); } }, Object.assign({ label: "lower", stroke: "transparent" }, line), Object.assign({ label: "upper", stroke: "transparent" }, line),
          Object.assign({ label: "forecast", stroke: colour("estimate"), width: 2 }, line), Object.assign({}, line, { label: "came", stroke: colour("live"), width: 2, points: { show: data.x.length < 60, size: 5 } })],
        bands: [{ series: [2, 1], fill: colour("estimate", 0.15) }],
        axes: [data.in_time ? timeAxis() : axis(), axis({ size: fine, values: function (self, ticks) { return ticks.map(function (one) { return (+one.toPrecision(6)).toLocaleString("en"); }); } })]
      },
      rows: [data.x, data.lower, data.upper, data.value, data.actual], told: [3, 1, 2, 4]
    };
  }

  var KINDS = { forecast: forecast, quality: quality, search: search, traffic: traffic, lines: lines };

  customElements.define("x-chart", class extends HTMLElement {
    static observedAttributes = ["data-chart"];
    connectedCallback() {
      this.looks = new ResizeObserver(() => { if (this.plot && this.clientWidth) this.plot.setSize({ width: this.clientWidth, height: this.plotHeight() }); });
      this.looks.observe(this);
      this.again = () => this.draw();
      addEventListener("incumbent:theme", this.again);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.again);
      this.draw();
    }
    disconnectedCallback() {
      this.looks.disconnect();
      removeEventListener("incumbent:theme", this.again);
      matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.again);
      if (this.plot) this.plot.destroy();
      this.plot = null;
    }
    attributeChangedCallback(name, before) { if (before !== null && this.looks) this.draw(); }
    plotHeight() { return this.clientHeight - (this.legendHeight || 0); }
    draw() {
      var data = JSON.parse(this.dataset.chart);
      var made = KINDS[data.kind](data);
      if (this.plot) this.plot.destroy();
      var told = this.told || (this.told = document.createElement("p"));
      told.className = "told";
      told.textContent = "\u00a0";
      this.replaceChildren(told);
      this.legendHeight = 20;
      var names = made.options.series;
      var options = Object.assign({
        width: this.clientWidth, height: this.plotHeight(), tzDate: UTC, legend: { show: false },
        cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
        hooks: { setCursor: [function (plot) {
          var at = plot.cursor.idx;
          if (at === null || at === undefined) { told.textContent = "\u00a0"; return; }
          var when = typeof names[0].value === "function" ? names[0].value(plot, made.rows[0][at]) : new Date(made.rows[0][at] * 1e3).toISOString().slice(0, 19).replace("T", " ");
          told.textContent = [when].concat(made.told.filter(function (row) { return made.rows[row][at] !== null && made.rows[row][at] !== undefined; }).map(function (row) {
            return names[row].label + " " + names[row].value(plot, made.rows[row][at]);
          })).join("   ");
        }] }
      }, made.options);
      this.plot = new uPlot(options, made.rows, this);
    }
  });
})();
