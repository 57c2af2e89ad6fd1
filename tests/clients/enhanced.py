"""A newer FFmpeg than the distribution's, for Enhanced RTMP: `make`, `push` and `probe`."""

import sys
import time

import av


def make(path, video_codec, audio_codec, seconds):
    """Encodes a test picture and a tone into the FLV file `path`."""
    with av.open(path, "w", format="flv") as out:
        rate = 25
        video = out.add_stream(video_codec, rate=rate)
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        video.gop_size = rate
        audio = out.add_stream(audio_codec, rate=48_000)
        picture = av.open(f"testsrc2=size=320x180:rate={rate}:duration={seconds}", format="lavfi")
        tone = av.open(f"sine=frequency=440:sample_rate=48000:duration={seconds}", format="lavfi")
        resampler = av.AudioResampler(
            format=audio.codec_context.codec.audio_formats[0].name,
            layout="stereo",
            rate=48_000,
            frame_size=audio.codec_context.frame_size or 1_024,
        )
        audio.layout = "stereo"
        packets = []
        for frame in picture.decode(video=0):
            frame.pts, frame.time_base, frame.pict_type = frame.pts, frame.time_base, 0
            packets += video.encode(frame.reformat(format="yuv420p"))
        packets += video.encode(None)
        for frame in tone.decode(audio=0):
            for piece in resampler.resample(frame):
                packets += audio.encode(piece)
        for piece in resampler.resample(None):
            packets += audio.encode(piece)
        packets += audio.encode(None)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        for packet in packets:
            out.mux(packet)


def push(path, url):
    """Publishes the packets of `path` to `url` in real time, unchanged; a file gets the same tags at once."""
    with av.open(path) as source, av.open(url, "w", format="flv") as out:
        # Opaque: copied without an encoder, for a decoder's name may not be that of one.
        streams = {it.index: out.add_stream_from_template(it, opaque=True) for it in source.streams}
        began = time.monotonic()
        for packet in source.demux():
            if packet.dts is None:
                continue
            ahead = float(packet.dts * packet.time_base) - (time.monotonic() - began)
            if ahead > 0 and "://" in url:
                time.sleep(ahead)
            packet.stream = streams[packet.stream.index]
            out.mux(packet)


def probe(url):
    """Prints the codecs of `url`, one a line, after a frame of each was decoded."""
    with av.open(url, timeout=20) as source:
        wanted = {it.index for it in source.streams}
        for packet in source.demux():
            if packet.decode():
                wanted.discard(packet.stream.index)
            if not wanted:
                break
        if wanted:
            sys.exit(f"{url}: no frame of the streams {wanted}")
        for it in source.streams:
            print(it.codec_context.codec.canonical_name)


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    {"make": make, "push": push, "probe": probe}[command](*words)
