import { join } from 'node:path'

/** A reason as clients may be told it: files of the model by their name in its folder, others by their last one. */
export function withoutPaths(reason: string, folder: string): string {
  return reason.replaceAll(join(folder, '/'), '').replace(/(?<![\w.:/])\/(?:[^\s/:'"]+\/)+/g, '')
}
