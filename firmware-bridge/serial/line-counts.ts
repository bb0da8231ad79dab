/** What happened on a line since the process started. */
export interface LineCounts {
  /** Frames, or lines, that were whole; of these some are readings. */
  frames: number;
  readings: number;
  /** Readings that the gateway acknowledged, also those whose device could not be told. */
  stored: number;
  acked: number;
  naks: number;
  /** Readings that came again while they were on their way: not published twice. */
  repeats: number;
  /** Readings of a boot that no HELLO has named. */
  unknownBoots: number;
  /** Whole frames that this version does not know. */
  unknownFrames: number;
  /** Pieces that were no frame, or no JSON object, and their bytes. */
  damaged: number;
  noiseBytes: number;
  tooLong: number;
  /** Answers for which the line had no room; the device asks again by sending again. */
  answersDropped: number;
  opened: number;
}

export function newLineCounts(): LineCounts {
  return {
    ...{ frames: 0, readings: 0, stored: 0, acked: 0, naks: 0, repeats: 0 },
    ...{ unknownBoots: 0, unknownFrames: 0, damaged: 0, noiseBytes: 0, tooLong: 0 },
    ...{ answersDropped: 0, opened: 0 },
  };
}
