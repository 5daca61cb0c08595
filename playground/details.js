import { byId, element } from './element.js'

const percent = (probability) =>
  `${(probability * 100).toPrecision(2).replace(/e.*/, '')} %`.replace(/^0\.0+ .*/, '< 0.1 %')
const visible = (text) => text.replaceAll(' ', '·').replaceAll('\n', '⏎')

/** What is known of one token: its id, step, probability and alternatives. */
export function showDetails({ reveal }, revealed) {
  const root = byId('details')
  if (!reveal || !revealed)
    return root.replaceChildren(element('p', { className: 'hint', textContent: 'Masked.' }))
  const { token, step, text, probability, alternatives = [] } = reveal
  const known = alternatives.some((other) => other.token === token)
  const bars = [...(known ? [] : [reveal]), ...alternatives]
    .slice(0, 5)
    .map((other) =>
      element(
        'li',
        { className: other.token === token ? 'chosen' : '', style: { '--share': other.probability } },
        element('b', { textContent: visible(other.text) }),
        element('span', { textContent: percent(other.probability) })
      )
    )
  root.replaceChildren(
    element('p', { className: 'token', textContent: visible(text) }),
    element(
      'dl',
      {},
      ...[
        ['token', token],
        ['step', step],
        ['probability', percent(probability)]
      ].map(([name, value]) =>
        element('div', {}, element('dt', { textContent: name }), element('dd', { textContent: value }))
      )
    ),
    element('ol', { ariaLabel: 'Likeliest tokens then' }, ...bars)
  )
}

export function explainDetails() {
  byId('details').replaceChildren(
    element('p', {
      className: 'hint',
      textContent:
        'Point at a token, or walk with the arrow keys: when it was revealed, how likely it was, what else it could have been.'
    }),
    element('p', { className: 'scale', textContent: 'sure' }, element('i'), 'surprising')
  )
}
