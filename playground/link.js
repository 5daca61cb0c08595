/** What is set on the page, as the fragment of its address, and back. A fragment never leaves the browser. */
export function toFragment(settings) {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined || value === '') continue
    parameters.set(name, typeof value === 'string' ? value : JSON.stringify(value))
  }
  return `#${parameters}`
}

export function fromFragment(fragment) {
  const settings = Object.fromEntries(new URLSearchParams(fragment.replace(/^#/, '')))
  if (settings.template === undefined) return settings
  return { ...settings, template: readTemplate(settings.template) }
}

/** Anybody may write a link: what is no template is left out. */
function readTemplate(text) {
  try {
    const template = JSON.parse(text)
    const valid = (piece) => typeof piece === 'string' || (Number.isInteger(piece?.mask) && piece.mask > 0)
    return Array.isArray(template) && template.every(valid) ? template : undefined
  } catch {
    return undefined
  }
}
