/**
 * The denoiser's own process: opens one model, then runs the passes it is sent, in their order. `session.run` blocks this
 * thread, so they never overlap. It ends when its owner is gone; signals to the whole process group (Ctrl-C, a service
 * that stops) are its owner's business, which first finishes what it accepted.
 */
import { setPriority } from 'node:os'
import { answerOwner } from './answer-owner.js'
import { answerQuestion } from './answer-question.js'

/** On a CPU, answering clients comes first: the arithmetic gives way. */
const NICENESS = 5

setPriority(NICENESS)
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
answerOwner(answerQuestion)
