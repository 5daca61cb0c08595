import { Socket } from 'node:net'
import { Channel } from './channel.js'
import type { Answer, Question } from './messages.js'

/** File descriptor of the pipe on which a denoiser's process answers; its questions come on standard input. */
export const ANSWERS = 3

/** Answers the owner's questions until the owner is gone, which ends this process. */
export function answerOwner(answer: (question: Question) => Promise<unknown>): void {
  const channel = new Channel({
    input: process.stdin,
    output: new Socket({ fd: ANSWERS, readable: false }),
    onMessage: async (message) => {
      const question = message as Question & { id: number }
      channel.send({ ...((await answer(question)) as Answer), id: question.id })
    },
    onEnd: () => process.exit()
  })
}
