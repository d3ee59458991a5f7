//! An exposition in chunks, compressed if that is asked for.

use std::fmt;
use std::io;
#[cfg(any(feature = "gzip", feature = "zstd"))]
use std::io::Write;

use bytes::Bytes;
use monitoring_core::Exposition;

use super::encoding::Encoding;

/// A compressed chunk is given out when it is at least this long.
#[cfg(any(feature = "gzip", feature = "zstd"))]
const CHUNK: usize = 16 * 1024;

/// What came of a step.
#[derive(Debug)]
pub(super) enum Step {
    /// The next chunk of the content.
    Chunk(Bytes),
    /// Nothing yet: what was compressed is not a chunk so far.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd")),
        expect(dead_code, reason = "only a compressor takes several steps for a chunk")
    )]
    Underway,
    /// All has been given out.
    End,
}

/// The chunks of a content, each made when it is asked for.
pub(super) struct Chunks {
    exposition: Exposition,
    compressor: Compressor,
}

impl Chunks {
    pub(super) fn begin(exposition: Exposition, encoding: Encoding) -> io::Result<Self> {
        Ok(Self { exposition, compressor: Compressor::new(encoding)? })
    }

    /// Does the work of one chunk of the exposition, about 32 KiB, and no more.
    ///
    /// # Errors
    /// When the compressor fails, which leaves nothing to go on with.
    pub(super) fn step(&mut self) -> io::Result<Step> {
        self.compressor.step(self.exposition.next())
    }
}

/// Makes of the chunks of the exposition those of the content. An encoder is taken when it has written its end.
enum Compressor {
    Identity,
    #[cfg(feature = "gzip")]
    Gzip(Option<Box<flate2::write::GzEncoder<Vec<u8>>>>),
    #[cfg(feature = "zstd")]
    Zstd(Option<Box<zstd::stream::write::Encoder<'static, Vec<u8>>>>),
}

impl Compressor {
    fn new(encoding: Encoding) -> io::Result<Self> {
        // The fastest level of each: the time is that of the service, and expositions repeat themselves enough.
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            #[cfg(feature = "gzip")]
            Encoding::Gzip => {
                let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                Self::Gzip(Some(Box::new(encoder)))
            }
            #[cfg(feature = "zstd")]
            Encoding::Zstd => {
                let encoder = zstd::stream::write::Encoder::new(Vec::new(), 1)?;
                Self::Zstd(Some(Box::new(encoder)))
            }
        })
    }

    fn step(&mut self, plain: Option<Bytes>) -> io::Result<Step> {
        match self {
            Self::Identity => Ok(plain.map_or(Step::End, Step::Chunk)),
            #[cfg(feature = "gzip")]
            Self::Gzip(encoder) => match (plain, encoder) {
                (Some(plain), Some(encoder)) => {
                    encoder.write_all(&plain)?;
                    Ok(give_out(encoder.get_mut()))
                }
                (_, encoder) => last(encoder.take().map(|encoder| encoder.finish())),
            },
            #[cfg(feature = "zstd")]
            Self::Zstd(encoder) => match (plain, encoder) {
                (Some(plain), Some(encoder)) => {
                    encoder.write_all(&plain)?;
                    Ok(give_out(encoder.get_mut()))
                }
                (_, encoder) => last(encoder.take().map(|encoder| encoder.finish())),
            },
        }
    }
}

/// What is ready of the compressed content.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn give_out(compressed: &mut Vec<u8>) -> Step {
    if compressed.len() < CHUNK {
        return Step::Underway;
    }
    let chunk = Bytes::copy_from_slice(compressed);
    compressed.clear();
    Step::Chunk(chunk)
}

/// The rest of the compressed content, which is never empty, and then its end.
#[cfg(any(feature = "gzip", feature = "zstd"))]
fn last(rest: Option<io::Result<Vec<u8>>>) -> io::Result<Step> {
    Ok(rest.transpose()?.map_or(Step::End, |rest| Step::Chunk(rest.into())))
}

impl fmt::Debug for Chunks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Chunks").field("exposition", &self.exposition).finish_non_exhaustive()
    }
}
