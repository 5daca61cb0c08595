/** An element with properties and children; `style` holds custom properties, which the page's policy allows scripts to set. */
export function element(name, { style = {}, dataset = {}, ...properties } = {}, ...children) {
  const node = document.createElement(name)
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value
    else node.setAttribute(key, value)
  }
  for (const [key, value] of Object.entries(style)) node.style.setProperty(key, value)
  Object.assign(node.dataset, dataset)
  node.append(...children)
  return node
}

export const byId = (id) => document.getElementById(id)
