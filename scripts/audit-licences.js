/** Writes sbom.json, what the server is made of (CycloneDX), and fails where a licence is not known to be free of conditions on use (npm run sbom). */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const accepted = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'OFL-1.1',
  'Unlicense'
])

const arguments_ = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only']
const sbom = execFileSync('npm', arguments_, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
writeFileSync(new URL('../sbom.json', import.meta.url), sbom)

const { components } = JSON.parse(sbom)
const licencesOf = ({ licenses = [] }) =>
  licenses.map(({ license, expression }) => expression ?? license.id ?? license.name)
const alternatives = (licence) => licence.replace(/^\((.*)\)$/, '$1').split(' OR ')
const isAccepted = (component) => {
  const licences = licencesOf(component)
  return (
    licences.length > 0 && licences.every((licence) => alternatives(licence).some((id) => accepted.has(id)))
  )
}
const doubtful = components.filter((component) => !isAccepted(component))
for (const component of doubtful) {
  console.error(`${component.name}@${component.version}: ${licencesOf(component).join(', ') || 'no licence'}`)
}
console.log(
  `${components.length} packages in sbom.json, ${doubtful.length} of a licence that is not accepted`
)
process.exitCode = doubtful.length > 0 ? 1 : 0
