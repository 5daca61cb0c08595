/* global uPlot */
// Draws the charts that the page carries, in its colours, as wide as it is.
;(() => {
  const HEIGHT = 300
  const HUES = 6
  const charts = JSON.parse(document.getElementById('charts').textContent)
  const frames = [...document.querySelectorAll('.chart')]

  function colour(name) {
    // A canvas knows neither custom properties nor light-dark().
    const probe = document.body.appendChild(document.createElement('i'))
    probe.style.color = `var(--${name})`
    const { color } = getComputedStyle(probe)
    probe.remove()
    return color
  }

  /** Series with an x of their own each, on one axis: where one has no point there is a gap, which its line spans. */
  function align(series) {
    const all = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b)
    const columns = series.map(({ points }) => {
      const at = new Map(points.map(({ x, y }) => [x, y]))
      return all.map((x) => at.get(x) ?? null)
    })
    return [all, ...columns]
  }

  const short = (value) => (value >= 1e4 ? `${value / 1e3}k` : String(Number(value.toPrecision(3))))

  function labels(series) {
    return (plot) => {
      const { ctx } = plot
      ctx.save()
      ctx.font = `600 ${12 * devicePixelRatio}px system-ui, sans-serif`
      ctx.fillStyle = colour('ink')
      for (const { points } of series)
        for (const { x, y, label } of points)
          if (label)
            ctx.fillText(
              label,
              plot.valToPos(x, 'x', true) + 7 * devicePixelRatio,
              plot.valToPos(y, 'y', true) - 7 * devicePixelRatio
            )
      ctx.restore()
    }
  }

  /** Room for a single value, too. */
  const padded = (_plot, low, high) => {
    const room = (high - low || Math.abs(high) || 1) * 0.12
    return [Math.max(0, low - room), high + room]
  }
  const paddedLog = (_plot, low, high) => [low / 1.25, high * 1.25]

  /** 1, 2, 5, 10, 20, ... within the axis. */
  function decades(_plot, _axis, low, high) {
    const all = []
    for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
      for (const factor of [1, 2, 5])
        if (factor * power >= low && factor * power <= high) all.push(factor * power)
    return all
  }

  function draw(chart, frame) {
    const ink = colour('quiet')
    const grid = { stroke: colour('line'), width: 1 }
    const axis = (label, size) => ({
      label,
      size,
      labelSize: 18,
      stroke: ink,
      grid,
      ticks: grid,
      font: '12px system-ui, sans-serif',
      labelFont: '12px system-ui, sans-serif',
      values: (_plot, splits) => splits.map((value) => (value === null ? '' : short(value)))
    })
    return new uPlot(
      {
        width: frame.clientWidth - 16,
        height: HEIGHT,
        cursor: { show: false },
        legend: { live: false },
        padding: [12, 28, 0, 0],
        scales: {
          x: { time: false, ...(chart.logarithmic ? { distr: 3, range: paddedLog } : { range: padded }) },
          y: { range: padded }
        },
        axes: [
          {
            ...axis(chart.x, 32),
            ...(chart.logarithmic && { splits: decades, filter: (_plot, splits) => splits })
          },
          axis(chart.y, 52)
        ],
        series: [
          {},
          ...chart.series.map(({ name, hue, dashed, points }) => ({
            label: name,
            stroke: colour(`hue-${hue % HUES}`),
            width: 2,
            spanGaps: true,
            ...(dashed && { dash: [6, 5] }),
            points: { show: points.length < 20, size: 8, fill: colour(`hue-${hue % HUES}`) }
          }))
        ],
        hooks: { draw: [labels(chart.series)] }
      },
      align(chart.series),
      frame
    )
  }

  let drawn = []
  function drawAll() {
    for (const plot of drawn) plot.destroy()
    drawn = charts.map((chart, index) => draw(chart, frames[index]))
  }
  drawAll()

  let width = innerWidth
  addEventListener('resize', () => {
    if (innerWidth === width) return
    width = innerWidth
    drawAll()
  })
  for (const query of ['print', '(prefers-color-scheme: dark)'])
    matchMedia(query).addEventListener('change', drawAll)
  document.documentElement.dataset.drawn = 'yes'
})()
