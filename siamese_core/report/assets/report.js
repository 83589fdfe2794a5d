// The page is complete without this script. It adds values on hover and focus, the threshold that moves, and larger
// pictures. All text comes in by textContent: a name in the data can not become markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);

  const make = (tag, parent, properties = {}) => {
    const element = Object.assign(document.createElement(tag), properties);
    parent.append(element);
    return element;
  };

  const share = (value) => {
    const digits = value <= 0 ? 2 : Math.min(Math.max(2, 1 - Math.floor(Math.log10(value * 100))), 6);
    return `${(value * 100).toFixed(digits)}%`;
  };

  // Hover, focus and arrow keys over one chart.
  function explore(chart) {
    const plot = document.querySelector(`#${chart.id} .plot`);
    const svg = plot.querySelector("svg");
    const cursor = svg.querySelector(".cursor");
    const spots = svg.querySelectorAll(".spot");
    const tip = make("div", plot, { className: "tip", hidden: true });
    tip.setAttribute("role", "status");
    // The operating points come last, on top; they are what the keyboard meets first.
    let series = chart.series.length - 1;
    let mark = 0;
    plot.tabIndex = 0;

    function show() {
      const [x, y, ...texts] = chart.series[series].marks[mark];
      cursor.setAttribute("cx", x);
      cursor.setAttribute("cy", y);
      cursor.classList.add("on");
      tip.replaceChildren();
      if (chart.groups) picture();
      else words(texts);
      tip.hidden = false;
      place(x / chart.width, y / chart.height);
    }

    function words([x, y, note]) {
      make("b", tip, { textContent: chart.series[series].name });
      make("span", tip, { textContent: `${chart.x} ${x}` });
      make("span", tip, { textContent: `${chart.y} ${y}` });
      if (note) make("span", tip, { textContent: note });
    }

    function picture() {
      const group = chart.groups[mark];
      const tile = chart.tiles[mark];
      spots.forEach((spot, index) => spot.classList.toggle("same", chart.groups[index] === group));
      plot.classList.add("picking");
      if (tile >= 0) {
        const at = `-${(tile % chart.columns) * 80}px -${Math.floor(tile / chart.columns) * 80}px`;
        const image = make("i", tip);
        Object.assign(image.style, {
          backgroundImage: `url("${chart.sheet}")`,
          backgroundPosition: at,
          backgroundSize: `${chart.columns * 80}px auto`,
        });
      }
      make("b", tip, { textContent: chart.names[group] });
      make("span", tip, { textContent: chart.series[series].marks[mark][4] });
    }

    function place(across, down) {
      const box = plot.getBoundingClientRect();
      const left = across * box.width + (across > 0.5 ? -tip.offsetWidth - 14 : 14);
      const top = down * box.height - tip.offsetHeight / 2;
      const most = Math.min(box.width, document.documentElement.clientWidth - box.left) - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(left, most))}px`;
      tip.style.top = `${Math.max(0, Math.min(top, box.height - tip.offsetHeight))}px`;
    }

    function hide() {
      tip.hidden = true;
      cursor.classList.remove("on");
      plot.classList.remove("picking");
    }

    function nearest(marks, x, y) {
      const across = chart.by === "x" ? 6 : 1;
      let best = 0;
      let least = Infinity;
      marks.forEach(([left, top], index) => {
        const far = Math.hypot((left - x) * across, top - y);
        if (far < least) [best, least] = [index, far];
      });
      return [best, least];
    }

    function point(event) {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * chart.width;
      const y = ((event.clientY - box.top) / box.height) * chart.height;
      const hits = chart.series.map(({ marks }) => nearest(marks, x, y));
      // From the last series on: of two at one place the upper one is meant.
      series = hits.reduceRight((best, [, far], index) => (far < hits[best][1] ? index : best), hits.length - 1);
      mark = hits[series][0];
      show();
    }

    function press(event) {
      const marks = chart.series[series].marks;
      const stride = event.shiftKey ? 10 : 1;
      const turn = (by) => {
        const [x, y] = marks[mark];
        series = (series + by + chart.series.length) % chart.series.length;
        mark = nearest(chart.series[series].marks, x, y)[0];
      };
      const moves = {
        ArrowRight: () => (mark = Math.min(mark + stride, marks.length - 1)),
        ArrowLeft: () => (mark = Math.max(mark - stride, 0)),
        Home: () => (mark = 0),
        End: () => (mark = marks.length - 1),
        ArrowUp: () => turn(1),
        ArrowDown: () => turn(-1),
      };
      if (event.key === "Escape") return hide();
      if (!moves[event.key]) return;
      event.preventDefault();
      moves[event.key]();
      show();
    }

    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", () => plot === document.activeElement || hide());
    plot.addEventListener("focus", () => plot.matches(":focus-visible") && show());
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", press);
  }

  // The threshold that a reader moves: the errors there, and where they lie on the curves.
  function slide(model) {
    const slider = document.getElementById("threshold-slider");
    const buttons = [...document.querySelectorAll("[data-threshold]")];
    const [low, high] = model.ends;
    const dots = ["det", "roc"].map((name) => {
      const cursor = document.querySelector(`#${name} .cursor`);
      const dot = cursor.cloneNode();
      dot.setAttribute("class", "live on");
      cursor.before(dot);
      return [dot, model[name]];
    });

    function between(threshold) {
      const { knots } = model;
      const after = knots.findIndex(([at]) => at >= threshold);
      if (after < 1) return [after < 0 ? knots.length - 1 : 0, after < 0 ? knots.length - 1 : 0, 0];
      const [start, end] = [knots[after - 1][0], knots[after][0]];
      return [after - 1, after, (threshold - start) / (end - start || 1)];
    }

    function write(name, value, below) {
      document.getElementById(`live-${name}`).textContent = value;
      document.getElementById(`live-${name}-count`).textContent = below;
    }

    function set(threshold) {
      const [before, after, part] = between(threshold);
      const mix = (rows, column) => rows[before][column] * (1 - part) + rows[after][column] * part;
      const [fmr, fnmr] = [mix(model.knots, 1), mix(model.knots, 2)];
      const [impostor, genuine] = model.pairs;
      const one = fmr > 0 ? `1 of ${Math.round(1 / fmr).toLocaleString("en")} impostor pairs` : "no impostor pair";
      write("threshold", threshold.toFixed(4), "squared L2 distance");
      write("fmr", share(fmr), `${one}; about ${Math.round(fmr * impostor).toLocaleString("en")} here`);
      write("fnmr", share(fnmr), `about ${Math.round(fnmr * genuine).toLocaleString("en")} genuine pairs here`);
      write("accuracy", share(1 - (fmr + fnmr) / 2), "1 − (FMR + FNMR) / 2");
      slider.setAttribute("aria-valuetext", `threshold ${threshold.toFixed(4)}, FMR ${share(fmr)}, FNMR ${share(fnmr)}`);
      for (const button of buttons) button.setAttribute("aria-pressed", Number(button.dataset.threshold) === threshold);
      for (const [dot, places] of dots) {
        dot.setAttribute("cx", mix(places, 0));
        dot.setAttribute("cy", mix(places, 1));
      }
      draw(threshold);
    }

    function draw(threshold) {
      const [left, right] = model.across;
      const x = left + ((right - left) * (threshold - low)) / (high - low);
      const line = document.getElementById("threshold-line");
      line.setAttribute("d", line.getAttribute("d").replace(/^M\S+/, `M${x}`));
      document.querySelector("#below rect").setAttribute("width", Math.max(x - left, 0));
      document.querySelector("#above rect").setAttribute("x", x);
      document.querySelector("#above rect").setAttribute("width", Math.max(right - x, 0));
    }

    function jump(threshold) {
      slider.value = ((threshold - low) / (high - low)) * 1000;
      set(threshold);
    }

    slider.addEventListener("input", () => set(low + ((high - low) * slider.value) / 1000));
    for (const button of buttons) button.addEventListener("click", () => jump(Number(button.dataset.threshold)));
    for (const part of document.querySelectorAll(".explorer, .live-hint")) part.hidden = false;
    jump(model.first);
  }

  // A pair, enlarged.
  function enlarge() {
    const dialog = make("dialog", document.body);
    for (const pair of document.querySelectorAll(".pair")) {
      pair.setAttribute("aria-haspopup", "dialog");
      pair.addEventListener("click", () => {
        dialog.replaceChildren(...[...pair.children].map((child) => child.cloneNode(true)));
        const close = make("button", dialog, { type: "button", textContent: "Close" });
        close.addEventListener("click", () => dialog.close());
        dialog.showModal();
      });
    }
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  data.charts.forEach(explore);
  slide(data.threshold);
  enlarge();
})();
