/** Writes docs/playground*.png: the page in its states, and a text taking shape. Run by `npm run screenshots`. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'
import { animatedPng } from './animated-png.js'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update'
]
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags })
const servers = []

async function serve(...flags) {
  const server = spawn(process.execPath, ['dist/cli.js', 'serve', '--port', '0', '--device', 'cpu', ...flags])
  servers.push(server)
  for await (const line of createInterface(server.stdout)) {
    const url = line.match(/http:\/\/127\.0\.0\.1:\d+/)?.[0]
    if (url) return url
  }
}

async function open(url, { fragment = '', width = 1240, height = 940, ...options } = {}) {
  const page = await browser.newPage({ viewport: { width, height }, ...options })
  await page.goto(`${url}/#${fragment}`)
  await page.locator('#model option').first().waitFor({ state: 'attached' })
  return page
}

async function save(page, name, options = {}) {
  await page.screenshot({ path: `docs/${name}.png`, ...options })
  await page.close()
}

const ended = (page) => page.locator('.facts', { hasText: 'tokens/s' }).first().waitFor()

/** To the middle of the text, with one token pointed at. */
async function halfWay(page) {
  await page.locator('#go').click()
  await ended(page)
  const scrubber = page.locator('#scrubber')
  await scrubber.fill(`${Math.round((await scrubber.getAttribute('max')) * 0.6)}`)
  await page.waitForTimeout(700)
  await page.locator('.place:not(.masked)').nth(4).hover()
}

const story = new URLSearchParams({
  prompt: 'Once upon a time, there was a little',
  max_tokens: 120,
  seed: 12,
  temperature: 0.8,
  top_p: 0.9
})

try {
  const url = await serve()
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(url, { fragment: story, colorScheme })
    await halfWay(page)
    await save(page, colorScheme === 'light' ? 'playground' : 'playground-dark')
  }
  const phone = await open(url, { fragment: story, width: 390, height: 844 })
  await halfWay(phone)
  await save(phone, 'playground-phone', { fullPage: true })

  const race = await open(url, { fragment: `${story}&mode=race&rival_steps=64` })
  await race.locator('#go').click()
  await race.locator('.lane.first').waitFor()
  await race.waitForTimeout(600)
  await save(race, 'playground-race')

  const infill = await open(url, { fragment: 'mode=fill&seed=7&temperature=0.8&top_p=0.9' })
  await infill.locator('#go').click()
  await ended(infill)
  await infill.getByLabel('Keep').first().check()
  await save(infill, 'playground-infill')

  const refused = await open(url, { fragment: `${story}&steps=5000` })
  await refused.locator('#go').click()
  await refused.locator('.problem').waitFor()
  await save(refused, 'playground-refused')

  const busy = await serve('--max-queue', '1', '--max-batch-tokens', '1')
  const crowd = await open(busy, { fragment: story })
  for (let i = 0; i < 4; i++) {
    const body = JSON.stringify({ max_tokens: 900, steps: 900 })
    fetch(`${busy}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body
    }).catch(() => {})
    await crowd.waitForTimeout(300)
  }
  await crowd.locator('#go').click()
  await crowd.locator('.countdown').waitFor()
  await save(crowd, 'playground-overloaded')

  const film = await open(url, { fragment: story, width: 880, height: 700 })
  await film.locator('#go').click()
  await ended(film)
  const frames = []
  const clip = await film.locator('#stage').boundingBox()
  const moments = Number(await film.locator('#scrubber').getAttribute('max'))
  for (let moment = 0; moment <= moments; moment++) {
    await film.locator('#scrubber').fill(`${moment}`)
    for (const [ms, last] of [
      [90, false],
      [moment === 0 ? 700 : moment === moments ? 2600 : 430, true]
    ]) {
      if (last) await film.waitForTimeout(550)
      frames.push({ png: await film.screenshot({ clip: { ...clip, height: 310 } }), ms })
    }
  }
  writeFileSync('docs/playground-animation.png', animatedPng(frames))
} finally {
  await browser.close()
  for (const server of servers) server.kill()
}
