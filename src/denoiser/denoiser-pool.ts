import type { Denoiser, Device, Outage, Pass, Revealed } from './denoiser.js'
import type { Manifest } from './manifest.js'
import { type DenoiserOptions, RemoteDenoiser } from './remote-denoiser.js'

/** One model on several devices, each with a process of its own: a pass runs on the one that has least to do. */
export class DenoiserPool implements Denoiser {
  readonly #members: readonly RemoteDenoiser[]
  readonly #underWay = new Map<RemoteDenoiser, number>()

  private constructor(members: readonly RemoteDenoiser[]) {
    this.#members = members
  }

  /**
   * Resolves when every device has opened the model. `auto` is decided by the first.
   * @param deviceIds numbers of the GPUs; on the CPU, one process for each
   * @throws {ModelError | DeviceError} one line
   */
  static async start(
    folder: string,
    manifest: Manifest,
    deviceIds: readonly number[],
    options: Omit<DenoiserOptions, 'deviceId'>
  ): Promise<DenoiserPool> {
    const [firstId = 0, ...otherIds] = deviceIds
    const first = await RemoteDenoiser.start(folder, manifest, { ...options, deviceId: firstId })
    const { device } = first
    const starts = await Promise.allSettled(
      otherIds.map((deviceId) => RemoteDenoiser.start(folder, manifest, { ...options, device, deviceId }))
    )
    const others = starts.filter((start) => start.status === 'fulfilled').map((start) => start.value)
    const pool = new DenoiserPool([first, ...others])
    const failed = starts.find((start) => start.status === 'rejected')
    if (!failed) return pool
    await pool.close()
    throw failed.reason
  }

  get manifest(): Manifest {
    return this.#members[0]!.manifest
  }

  get device(): Device {
    return this.#members[0]!.device
  }

  get parallel(): number {
    return this.#members.length
  }

  /** Why `auto` chose the CPU. */
  get fallback(): string | null {
    return this.#members[0]!.fallback
  }

  get ready(): boolean {
    return this.readyProcesses > 0
  }

  get readyProcesses(): number {
    return this.#members.filter(({ ready }) => ready).length
  }

  /** Only when no device is left. */
  get outage(): Outage | undefined {
    const outages = this.#members.map(({ outage }) => outage)
    if (!outages.every((outage) => outage !== undefined)) return undefined
    return outages.reduce((soonest, outage) =>
      outage.retryAfterMs < soonest.retryAfterMs ? outage : soonest
    )
  }

  get restarts(): number {
    return this.#members.reduce((sum, { restarts }) => sum + restarts, 0)
  }

  async run(pass: Pass): Promise<Revealed> {
    const member = this.#idlest()
    this.#underWay.set(member, this.#load(member) + 1)
    try {
      return await member.run(pass)
    } finally {
      this.#underWay.set(member, this.#load(member) - 1)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()))
  }

  /** One that is being replaced comes after all that run. */
  #idlest(): RemoteDenoiser {
    const rank = (member: RemoteDenoiser) => this.#load(member) + (member.ready ? 0 : 1e6)
    return this.#members.reduce((best, member) => (rank(member) < rank(best) ? member : best))
  }

  #load(member: RemoteDenoiser): number {
    return this.#underWay.get(member) ?? 0
  }
}
