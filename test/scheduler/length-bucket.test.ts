import fc from 'fast-check'
import t from 'tap'
import { lengthBucket } from '../../src/scheduler/length-bucket.js'

t.test(
  'a padded length holds the sequence, wastes at most half of it, and stays within the context',
  async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 4096 }), (length) => {
          const bucket = lengthBucket(length, 4096)
          return (
            bucket >= length &&
            (bucket <= 16 || bucket <= 1.5 * length) &&
            lengthBucket(length, length) === length
          )
        })
      )
    )
  }
)
