import { Socket } from 'node:net'
import { Channel } from './channel.js'
import type { Answer, Question } from './messages.js'

/** File descriptor of the pipe on which a denoiser's process answers; its questions come on standard input. */
export const ANSWERS = 3

/**
 * Answers the owner's questions until the owner is gone, which ends this process. A question that lies ready is taken up when the
 * one before is answered: else the time of its pass would hold that of the other.
 */
export function answerOwner(answer: (question: Question) => Promise<unknown>): void {
  let turn: Promise<void> = Promise.resolve()
  const channel = new Channel({
    input: process.stdin,
    output: new Socket({ fd: ANSWERS, readable: false }),
    onMessage: (message) => {
      const question = message as Question & { id: number }
      turn = turn.then(async () => {
        channel.send({ ...((await answer(question)) as Answer), id: question.id })
      })
    },
    onEnd: () => process.exit()
  })
}
