import { curve, scale } from '../features/job-details/curve';

describe('curve', () => {
  const frame = { end: 10, top: 4, width: 100, height: 40 };

  it('draws each value over the stretch before its time', () => {
    const { line, area } = curve(
      [
        { time: 5, value: 2 },
        { time: 10, value: 4 }
      ],
      frame
    );
    expect(line).toBe('M0 20H50L50 0H100');
    expect(area).toBe('M0 40V20H50V40ZM50 40V0H100V40Z');
  });

  it('leaves a gap where nothing is told', () => {
    const points = [
      { time: 2, value: 4 },
      { time: 8, value: null },
      { time: 10, value: 4 }
    ];
    expect(curve(points, frame).line).toBe('M0 0H20M80 0H100');
  });

  it('has room above the limit, and above what exceeds it', () => {
    expect(scale(4, 1)).toBeCloseTo(4.2);
    expect(scale(4, 10)).toBeCloseTo(10.5);
  });
});
