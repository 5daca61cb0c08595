import { byId, element } from './element.js'

let timer

/** One line about how it goes; with a countdown where one waits. The seconds are not announced. */
export function notify(text, waitMs) {
  clearInterval(timer)
  const line = byId('notice')
  if (text === '' && line.textContent === '') return
  line.replaceChildren(text)
  if (waitMs === undefined) return
  const seconds = element('span', { ariaHidden: 'true', className: 'countdown' })
  line.append(' ', seconds)
  const until = performance.now() + waitMs
  const count = () => {
    const left = Math.max(0, (until - performance.now()) / 1000)
    seconds.textContent = `Again in ${left.toFixed(left < 10 ? 1 : 0)} s`
  }
  count()
  timer = setInterval(count, 100)
}

/** Told to screen readers, once, when there is something to tell. */
export function announce(text) {
  byId('announcement').textContent = text
}
