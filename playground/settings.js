import { byId } from './element.js'

const form = byId('form')
const numbers = ['steps', 'rival_steps', 'max_tokens', 'temperature', 'top_p', 'seed']
const texts = ['prompt', 'suffix', 'model', 'rival']

/** What is set on the page. Fields left empty are left to the server. */
export function readSettings() {
  const settings = { mode: form.elements.mode.value }
  for (const name of texts) settings[name] = form.elements[name].value
  for (const name of numbers) {
    if (form.elements[name].value !== '') settings[name] = form.elements[name].valueAsNumber
  }
  return settings
}

export function writeSettings(settings) {
  for (const name of [...texts, ...numbers]) {
    if (settings[name] !== undefined) form.elements[name].value = settings[name]
  }
  if (['write', 'fill', 'race'].includes(settings.mode)) form.elements.mode.value = settings.mode
}

/** Shows the server's message at the field that caused it, in place of no other. False when there is no such field. */
export function refuse(param, message, rival) {
  const name = param?.replace(/[[.].*$/, '')
  const field = byId((rival && { model: 'rival', steps: 'rival_steps' }[name]) ?? name)
  if (!field?.closest('.field') || field.closest('.field').offsetParent === null) return false
  const problem = Object.assign(document.createElement('p'), {
    className: 'problem',
    id: 'problem',
    role: 'alert',
    textContent: message
  })
  field.closest('.field').append(problem)
  field.setAttribute('aria-invalid', 'true')
  field.setAttribute('aria-describedby', 'problem')
  field.focus()
  return true
}

export function clearRefusals() {
  for (const problem of document.querySelectorAll('.problem')) problem.remove()
  for (const field of document.querySelectorAll('[aria-invalid]')) {
    field.removeAttribute('aria-invalid')
    field.removeAttribute('aria-describedby')
  }
}
