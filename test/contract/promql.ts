/** What a PromQL expression asks for. */
import { parser } from '@prometheus-io/lezer-promql'

type Node = ReturnType<typeof parser.parse>['topNode']

export interface Selector {
  readonly metric: string
  readonly matchers: readonly { readonly label: string; readonly value: string }[]
  /** Labels that the aggregations around it keep. */
  readonly kept: readonly string[]
}

/** @throws {SyntaxError} where it is no PromQL */
export function selectorsOf(expression: string): Selector[] {
  const selectors: Selector[] = []
  const textOf = (node: Node | null) => expression.slice(node?.from, node?.to)
  const read = (node: Node, kept: readonly string[]): void => {
    if (node.type.isError) throw new SyntaxError(`at ${node.from} of ${expression}`)
    if (node.name === 'VectorSelector') {
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []
      selectors.push({
        metric: textOf(node.getChild('Identifier')),
        matchers: matchers.map((matcher) => ({
          label: textOf(matcher.getChild('LabelName')),
          value: textOf(matcher.getChild('StringLiteral')).slice(1, -1)
        })),
        kept
      })
    }
    const labels =
      node.getChild('AggregateModifier')?.getChild('GroupingLabels')?.getChildren('LabelName') ?? []
    for (let child = node.firstChild; child; child = child.nextSibling)
      read(child, [...kept, ...labels.map(textOf)])
  }
  read(parser.parse(expression).topNode, [])
  return selectors
}
