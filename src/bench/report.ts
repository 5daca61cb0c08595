/** The answer on one page: a file of HTML that needs nothing else. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cautions } from './caution.js'
import type { MeasuredDocument } from './document.js'
import { chartsOf } from './report-charts.js'
import { rowsOf } from './table.js'
import { verdicts } from './verdict.js'

const ours = (name: string) => readFileSync(new URL(`../../report/${name}`, import.meta.url), 'utf8')
const { resolve } = createRequire(import.meta.url)
const uplot = (name: string) => readFileSync(resolve(`uplot/dist/${name}`), 'utf8')

/** Nothing that a server or a file said becomes markup. */
const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

export function report({ fewstep, date, machine, command, settings, results }: MeasuredDocument): string {
  const charts = chartsOf(results)
  const [heads, ...rows] = rowsOf(results)
  const day = date.slice(0, 16).replace('T', ' ')
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>fewstep bench, ${escaped(day)}</title>
<style>${uplot('uPlot.min.css')}${ours('report.css')}</style>
</head>
<body>
<header><h1>few<span>step</span> bench</h1><p>${escaped(day)} UTC &middot; ${escaped(machine)} &middot; fewstep ${escaped(fewstep)}</p></header>
<main>
<section aria-label="Verdict" class="verdict">${paragraphs(verdicts(results))}${paragraphs(cautions(results), 'caution')}</section>
${charts.map(chartFrame).join('\n')}
<section aria-labelledby="figures"><h2 id="figures">All figures</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of all figures"><table>
<thead><tr>${heads!.map((head) => `<th scope="col">${escaped(head)}</th>`).join('')}</tr></thead>
<tbody>${rows.map(row).join('')}</tbody>
</table></div>
<p class="hint">Milliseconds are of whole texts, from when each was due. Goodput: the share done within ${escaped(String(settings.sloMs))} ms. Entropy, distinct-2 and the share of 4-grams that a text repeats are of the very texts that were timed.</p>
</section>
<section aria-labelledby="again"><h2 id="again">Measure it again</h2><pre tabindex="0"><code>${escaped(command)}</code></pre></section>
</main>
<script type="application/json" id="charts">${JSON.stringify(charts).replaceAll('<', '\\u003c')}</script>
<script>${uplot('uPlot.iife.min.js')}</script>
<script>${ours('charts.js')}</script>
</body>
</html>
`
}

const paragraphs = (lines: readonly string[], kind = '') =>
  lines.map((line) => `<p${kind && ` class="${kind}"`}>${escaped(line)}</p>`).join('')

const chartFrame = ({ title, hint }: { title: string; hint: string }, index: number) =>
  `<section aria-labelledby="chart-${index}"><h2 id="chart-${index}">${escaped(title)}</h2><p class="hint">${escaped(hint)}</p>` +
  `<div class="chart" role="img" aria-label="${escaped(title)}: its figures are in the table below"></div></section>`

const row = ([head, ...cells]: readonly string[]) =>
  `<tr><th scope="row">${escaped(head!)}</th>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`
