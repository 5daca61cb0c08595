/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import type { Readiness } from '../../src/answers.js'
import { newKey } from '../../src/api-keys.js'
import { ended, launch, openPage, skip, textOf } from './chromium.js'
import { post, startServer } from './server-process.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const BUNDLED = ['--device', 'cpu']

/** What axe finds wrong, by rule and element. */
async function violations(page: Page): Promise<string[]> {
  return page.evaluate(`(async () => {
    ${axe}
    const { violations } = await window.axe.run()
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => id + ' ' + target.join(' ')))
  })()`)
}

const go = (page: Page) => page.locator('#go').click()
const masked = (page: Page) => page.locator('.lane[data-lane="A"] .masked:not([hidden])').count()

t.test('with the bundled models', { skip }, async (t) => {
  const { url } = await startServer(t, ...BUNDLED)
  const browser = await launch(t)

  t.test('one button, and a text takes shape within five seconds', async (t) => {
    // A seed whose text does not end early.
    const { page, complaints } = await openPage(browser, `${url}/#seed=1`)
    const pressed = Date.now()
    await go(page)
    await page.locator('.place:not(.masked)').first().waitFor()
    const ms = Date.now() - pressed
    t.ok(ms < 5000, `${ms} ms`)
    await ended(page)
    t.equal(await masked(page), 0)
    t.match(await textOf(page), /^Once upon a time, there was a little/)
    t.match(await page.locator('#announcement').textContent(), /tokens in \d+ milliseconds, \d+ passes\./)

    t.comment('scrubbed back, everything is masked again and nothing has moved')
    const boxes = () =>
      page.locator('.place').evaluateAll((all) => all.map((place) => place.getBoundingClientRect().x))
    const before = await boxes()
    await page.locator('#scrubber').fill('0')
    t.ok((await masked(page)) > 50)
    t.same(await boxes(), before)
    await page.locator('#scrubber').press('ArrowRight')
    t.match(await page.locator('.facts').first().textContent(), /step 1 of 8/)

    await page.locator('.place:not(.masked)').first().hover()
    t.match(await page.locator('#details dl').textContent(), /^token\d+step1probability/)
    t.equal(await page.locator('#details li').count(), 5)

    t.comment('the link leads to the same text')
    await page.locator('#scrubber').press('End')
    const text = await textOf(page)
    const linked = await openPage(browser, page.url())
    await go(linked.page)
    await ended(linked.page)
    t.equal(await textOf(linked.page), text)
    t.same([...complaints, ...linked.complaints], [])
    await page.close()
    await linked.page.close()
  })

  t.test('two holes are filled, and one re-rolled while the other stays', async (t) => {
    const { page, complaints } = await openPage(browser, `${url}/#mode=fill`)
    const template = page.locator('#template')
    await template.click()
    await page.keyboard.press('Control+a')
    await page.keyboard.type('Tom had a red ball. The ball was big and Tom was happy.')
    for (const words of [' red ball', ' big and']) {
      await template.evaluate((root, words) => {
        const node = [...root.childNodes].find((child) => child.textContent!.includes(words))!
        const from = node.textContent!.indexOf(words)
        getSelection()!.setBaseAndExtent(node, from + 2, node, from + words.length - 1)
      }, words)
      await page.getByRole('button', { name: 'Make a hole' }).click()
    }
    t.match(await template.textContent(), /^Tom had a1\. The ball was2 Tom was happy\.$/)
    await page.getByLabel('Tokens of hole 2').fill('6')
    await page.getByLabel('Tokens of hole 2').press('Tab')
    await go(page)
    await ended(page)
    const filled = page.locator('.filled')
    const [first, second] = await filled.allTextContents()
    t.equal(await textOf(page), `Tom had a${first}. The ball was${second} Tom was happy.`)
    await page.getByRole('button', { name: 'Re-roll hole 2' }).click()
    await page.waitForFunction(
      (second) => document.querySelectorAll('.filled')[1]!.textContent !== second,
      second
    )
    t.equal(await filled.first().textContent(), first)
    await page.locator('.kept').waitFor()
    t.same(await violations(page), [])
    t.same(complaints, [])
    await page.close()
  })

  t.test('a race goes over one WebSocket and has a winner', async (t) => {
    const { page, complaints } = await openPage(
      browser,
      `${url}/#mode=race&steps=4&rival_steps=32&max_tokens=48&seed=3`
    )
    let sockets = 0
    page.on('websocket', () => sockets++)
    await go(page)
    await page.locator('.lane.first').waitFor()
    await ended(page, 'A')
    await ended(page, 'B')
    t.equal(await page.locator('.lane.first').count(), 1)
    t.equal(sockets, 1)
    t.same(await violations(page), [])
    t.same(complaints, [])
    await page.close()
  })

  t.test('by keyboard alone, on a phone, in the dark, without motion', async (t) => {
    const { page, complaints } = await openPage(browser, url, {
      viewport: { width: 390, height: 844 },
      colorScheme: 'dark',
      reducedMotion: 'reduce'
    })
    await page.locator('#prompt').focus()
    await page.keyboard.press('Control+Enter')
    await ended(page)
    const focused = () => page.evaluate(() => document.activeElement!.className || document.activeElement!.id)
    for (let i = 0; i < 30 && (await focused()) !== 'canvas'; i++) await page.keyboard.press('Tab')
    await page.keyboard.press('ArrowRight')
    t.match(await page.locator('#details dl').textContent(), /^token\d+/)
    t.equal(await page.locator('.canvas').first().getAttribute('aria-activedescendant'), 'A1')
    t.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, 'nothing sticks out')
    t.same(await violations(page), [])
    t.same(complaints, [])
    await page.close()
  })

  t.test('what is refused is told at its field; what is stopped stops', async (t) => {
    const { page, complaints } = await openPage(browser, url)
    await page.getByLabel('Steps').first().fill('5000')
    await go(page)
    t.match(await page.locator('.problem').textContent(), /^steps: expected/)
    t.equal(await page.locator('#steps').getAttribute('aria-invalid'), 'true')
    t.same(await violations(page), [])
    await page.getByLabel('Steps').first().fill('1000')
    await page.getByLabel('Length').fill('900')
    await go(page)
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Stopped.').waitFor()
    t.same(complaints, [])
    await page.close()
  })
})

/** However slow the machine is, it is the queue that is full. */
const PATIENT = ['--max-backlog-ms', '3600000']

/** Takes every place of a server, and its queue, for a while. */
async function crowd(t: Test, url: string): Promise<void> {
  const busy = new AbortController()
  t.teardown(() => busy.abort())
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ max_tokens: 900, steps: 1000 })
  const waiting = async () => {
    const { models } = (await (await fetch(`${url}/health/ready`)).json()) as Readiness
    return models[0]!
  }
  let early: string | undefined
  for (let taken = 0; (await waiting()).queued === 0; taken++) {
    fetch(`${url}/v1/completions`, { method: 'POST', headers, body, signal: busy.signal })
      .then((answer) => answer.text())
      .catch(String)
      .then((text) => {
        early = text
      })
    for (let now = 0; now <= taken; ) {
      if (early) throw new Error(`took no place for long: ${early}`)
      const { queued, running } = await waiting()
      now = queued + running
    }
  }
}

t.test('when the server is full, the page counts down and tries again', { skip }, async (t) => {
  const { url } = await startServer(t, ...BUNDLED, '--max-queue', '1', '--max-batch-tokens', '1', ...PATIENT)
  const { page, complaints } = await openPage(await launch(t), url)
  await crowd(t, url)
  await go(page)
  await page.getByText('The server is full.').waitFor()
  t.match(await page.locator('.countdown').textContent(), /^Again in [\d.]+ s$/)
  t.same(await violations(page), [])
  t.same(complaints, [])
})

t.test('a server with keys is asked with one', { skip }, async (t) => {
  const { secret, line } = newKey('ann', 'admin')
  const { url } = await startServer(t, ...BUNDLED, '--api-key', line)
  const page = await (await launch(t)).newPage()
  await page.goto(url)
  const key = page.getByLabel('API key')
  await key.fill('fs-wrong')
  await key.press('Enter')
  await page.getByText('The server does not know that key').waitFor()
  await key.fill(secret)
  t.same(await violations(page), [])
  await key.press('Enter')
  await page.locator('#model option').first().waitFor({ state: 'attached' })
  await go(page)
  await ended(page)
  t.equal(await masked(page), 0)
  await page.locator('#live-queue', { hasText: '0' }).waitFor()
})

t.test('killed in the middle of a text and started again, the text goes on', { skip }, async (t) => {
  const { url, child } = await startServer(t, ...BUNDLED)
  const { page, complaints } = await openPage(
    await launch(t),
    `${url}/#prompt=Once&max_tokens=200&steps=200&seed=5`
  )
  await go(page)
  while (!/fewstep_passes_total\{model="student"\} [1-9]/.test(await (await fetch(`${url}/metrics`)).text()));
  child.kill('SIGKILL')
  await page.getByText('The connection was lost.').waitFor()
  await startServer(t, ...BUNDLED, '--port', new URL(url).port)
  await ended(page, 'A', 90_000)
  t.equal(await masked(page), 0)
  const answer = await post(`${url}/v1/completions`, {
    prompt: 'Once',
    max_tokens: 200,
    steps: 200,
    seed: 5,
    temperature: 0.8,
    top_p: 0.9
  })
  const { choices } = (await answer.json()) as { choices: { text: string }[] }
  t.equal(await textOf(page), `Once${choices[0]!.text}`)
  t.same(
    complaints.filter(
      (text) =>
        !/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|status of 503|WebSocket connection/.test(
          text
        )
    ),
    []
  )
})
