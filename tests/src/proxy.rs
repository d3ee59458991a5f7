//! A TCP proxy that misbehaves on demand: faults on the wire, without root.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;

const CHUNK: usize = 16 * 1024;

/// A proxy on a loopback port in front of one server. Connections pass through it until it is told otherwise; when it is
/// dropped, they are reset.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use monitoring_tests::{Fault, Proxy};
///
/// # fn main() -> std::io::Result<()> {
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = Proxy::to(server.local_addr()?)?;
/// proxy.when_sent(b"COMMIT", Fault::CutAfter);
///
/// let mut client = TcpStream::connect(proxy.address())?;
/// client.write_all(b"COMMIT")?;
/// let (mut served, _) = server.accept()?;
/// let mut received = String::new();
/// served.read_to_string(&mut received)?; // ends, because the proxy has cut the connection
/// assert_eq!(received, "COMMIT");
/// assert!(client.read(&mut [0]).is_err()); // was reset, and can't know
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What happens to a connection when its client has sent certain bytes; see [`Proxy::when_sent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is reset, and the server never gets them.
    CutBefore,
    /// The server gets them, but the client is reset before any reply.
    CutAfter,
    /// The server gets them, and from then on no reply comes back on any connection.
    StallReplies,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    holds_requests: bool,
    holds_replies: bool,
    delay: Duration,
    rules: Vec<(Vec<u8>, Fault)>,
    struck: usize,
    connections: Vec<Arc<Connection>>,
    refuses: bool,
    is_listening: bool,
    has_ended: bool,
}

/// A client, and the server's end for it.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    is_cut: AtomicBool,
    /// No reply is handed on any more.
    is_mute: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Requests,
    Replies,
}

impl Proxy {
    /// A proxy in front of the server at that address.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { is_listening: true, ..State::default() });
        let shared = Arc::new(Shared { target, state, changed: Condvar::new() });
        let acceptor = Arc::clone(&shared);
        thread::Builder::new().name("proxy".into()).spawn(move || acceptor.accept_all(listener, address))?;
        Ok(Self { shared, address })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Holds all bytes, both ways. The connections stay open: to each side the other one is silent.
    pub fn stall(&self) {
        self.shared.change(|state| (state.holds_requests, state.holds_replies) = (true, true));
    }

    /// Holds what the server answers.
    pub fn stall_replies(&self) {
        self.shared.change(|state| state.holds_replies = true);
    }

    /// Hands on what was held, and what comes.
    pub fn resume(&self) {
        self.shared.change(|state| (state.holds_requests, state.holds_replies) = (false, false));
    }

    /// Hands every chunk of bytes on only after that time.
    pub fn delay(&self, delay: Duration) {
        self.shared.change(|state| state.delay = delay);
    }

    /// Resets every open connection, on both sides. New ones are accepted.
    pub fn cut(&self) {
        let connections = self.shared.change(|state| std::mem::take(&mut state.connections));
        for connection in connections {
            connection.cut(true);
        }
        self.shared.changed.notify_all();
    }

    /// Refuses new connections, as a server that is not there does.
    pub fn refuse(&self) {
        self.shared.change(|state| state.refuses = true);
        // The acceptor waits for a connection: it gets one, and sees that it is to stop.
        drop(TcpStream::connect(self.address));
        self.shared.wait_while(|state| state.is_listening);
    }

    /// Accepts new connections again.
    pub fn accept(&self) {
        self.shared.change(|state| state.refuses = false);
        self.shared.wait_while(|state| !state.is_listening);
    }

    /// Once: when a client has sent these bytes, wherever the chunks begin and end, `fault` happens to its connection.
    pub fn when_sent(&self, bytes: &[u8], fault: Fault) {
        self.shared.change(|state| state.rules.push((bytes.to_vec(), fault)));
    }

    /// How many of the faults that [`when_sent`](Self::when_sent) announced have happened.
    #[must_use]
    pub fn struck(&self) -> usize {
        self.shared.state().struck
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.change(|state| state.has_ended = true);
        drop(TcpStream::connect(self.address));
        self.cut();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_all();
        result
    }

    fn wait_while(&self, mut condition: impl FnMut(&State) -> bool) {
        let waited = self.changed.wait_while(self.state(), |state| condition(state) && !state.has_ended);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn accept_all(self: Arc<Self>, mut listener: TcpListener, address: SocketAddr) {
        loop {
            let accepted = listener.accept();
            let (has_ended, refuses) = {
                let state = self.state();
                (state.has_ended, state.refuses)
            };
            if has_ended {
                return;
            }
            if refuses {
                drop((accepted, listener));
                self.change(|state| state.is_listening = false);
                self.wait_while(|state| state.refuses);
                if self.state().has_ended {
                    return;
                }
                // The port was ours a moment ago; should another process have it now, there is no way on.
                let Ok(again) = TcpListener::bind(address) else { return self.change(|state| state.has_ended = true) };
                listener = again;
                self.change(|state| state.is_listening = true);
            } else if let Ok((client, _)) = accepted {
                // A server that is not there looks like a connection that is closed at once.
                let _ = self.connect(client);
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.target)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let connection =
            Arc::new(Connection { client, server, is_cut: AtomicBool::new(false), is_mute: AtomicBool::new(false) });
        self.change(|state| state.connections.push(Arc::clone(&connection)));
        let open = Arc::new(Open { shared: Arc::clone(self), connection });
        for direction in [Direction::Requests, Direction::Replies] {
            let open = Arc::clone(&open);
            thread::Builder::new().name("proxy-pump".into()).spawn(move || open.pump(direction))?;
        }
        Ok(())
    }
}

/// A connection that is open until both of its pumps have ended.
struct Open {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl Open {
    fn pump(&self, direction: Direction) {
        let Connection { client, server, .. } = &*self.connection;
        let (mut from, mut to) = match direction {
            Direction::Requests => (client, server),
            Direction::Replies => (server, client),
        };
        let mut chunk = vec![0; CHUNK];
        let mut seen = Vec::new();
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            let bytes = chunk.get(..length).unwrap_or_default();
            let fault = if direction == Direction::Requests { self.fault_of(&mut seen, bytes) } else { None };
            if fault == Some(Fault::CutBefore) {
                return self.cut(true);
            }
            if fault == Some(Fault::CutAfter) {
                // Before the server can answer.
                self.connection.is_mute.store(true, Ordering::Release);
            }
            self.hold(direction);
            if direction == Direction::Replies && self.connection.is_mute.load(Ordering::Acquire) {
                return;
            }
            if self.connection.is_cut() || to.write_all(bytes).is_err() {
                break;
            }
            match fault {
                Some(Fault::CutAfter) => return self.cut(false),
                Some(Fault::StallReplies) | Some(Fault::CutBefore) | None => {}
            }
        }
        if !self.connection.is_cut() {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// The fault that these bytes call for, together with those that came before.
    fn fault_of(&self, seen: &mut Vec<u8>, bytes: &[u8]) -> Option<Fault> {
        seen.extend_from_slice(bytes);
        let mut state = self.shared.state();
        let is_in = |needle: &[u8]| seen.windows(needle.len().max(1)).any(|window| window == needle);
        let struck = state.rules.iter().position(|(needle, _)| is_in(needle));
        let fault = struck.map(|index| state.rules.remove(index).1);
        let longest = state.rules.iter().map(|(needle, _)| needle.len()).max().unwrap_or(0);
        // Before the bytes are handed on, so that the very first reply is held.
        state.holds_replies |= fault == Some(Fault::StallReplies);
        state.struck += usize::from(fault.is_some());
        drop(state);
        if fault.is_some() {
            seen.clear();
        }
        seen.drain(..seen.len().saturating_sub(longest.saturating_sub(1)));
        fault
    }

    /// Waits while bytes of that direction are held.
    fn hold(&self, direction: Direction) {
        let delay = self.shared.state().delay;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        self.shared.wait_while(|state| {
            let is_held = match direction {
                Direction::Requests => state.holds_requests,
                Direction::Replies => state.holds_replies,
            };
            is_held && !self.connection.is_cut()
        });
    }

    fn cut(&self, resets_server: bool) {
        self.connection.cut(resets_server);
        self.shared.changed.notify_all();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.change(|state| state.connections.retain(|open| !Arc::ptr_eq(open, &self.connection)));
    }
}

impl Connection {
    fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Acquire)
    }

    /// Has both ends closed as soon as nobody reads from them any more: the client's by a reset, the server's too or in
    /// good order, so that it still reads what was sent.
    fn cut(&self, resets_server: bool) {
        self.is_cut.store(true, Ordering::Release);
        // Failures mean that an end is gone already. Closed with no time to linger, a socket resets its peer; that no more
        // is read wakes the pump and sends nothing.
        let _ = set_socket_linger(&self.client, Some(Duration::ZERO));
        if resets_server {
            let _ = set_socket_linger(&self.server, Some(Duration::ZERO));
        }
        let _ = self.client.shutdown(Shutdown::Read);
        let _ = self.server.shutdown(Shutdown::Read);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// A server that answers each chunk with itself, and a proxy before it.
    fn echo() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        Proxy::to(target).unwrap()
    }

    fn client(proxy: &Proxy) -> TcpStream {
        let client = TcpStream::connect(proxy.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        client
    }

    fn receive(client: &mut TcpStream, expected: &[u8]) -> io::Result<()> {
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut received = vec![0; expected.len()];
        client.read_exact(&mut received)?;
        assert_eq!(received, expected);
        Ok(())
    }

    fn until(mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(20), "it never came true");
            thread::yield_now();
        }
    }

    #[test]
    fn it_passes_bytes_and_ends_on() {
        let proxy = echo();
        let mut client = client(&proxy);
        client.write_all(b"hello").unwrap();
        receive(&mut client, b"hello").unwrap();
        assert_eq!(proxy.connections(), 1);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        until(|| proxy.connections() == 0);
    }

    #[test]
    fn a_stalled_connection_is_silent_and_loses_nothing() {
        let proxy = echo();
        let mut client = client(&proxy);
        proxy.stall();
        client.write_all(b"hello").unwrap();
        assert!(matches!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock));
        proxy.resume();
        receive(&mut client, b"hello").unwrap();
    }

    #[test]
    fn a_cut_resets_both_sides_and_new_connections_pass() {
        let proxy = echo();
        let mut first = client(&proxy);
        first.write_all(b"hello").unwrap();
        receive(&mut first, b"hello").unwrap();
        proxy.cut();
        assert_eq!(first.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut second = client(&proxy);
        second.write_all(b"again").unwrap();
        receive(&mut second, b"again").unwrap();
    }

    #[test]
    fn a_needle_is_found_across_chunks_and_strikes_once() {
        let proxy = echo();
        proxy.when_sent(b"needle", Fault::CutBefore);
        let mut client = client(&proxy);
        client.write_all(b"nee").unwrap();
        receive(&mut client, b"nee").unwrap();
        client.write_all(b"dle").unwrap();
        assert!(receive(&mut client, b"dle").is_err());
        assert_eq!(proxy.struck(), 1);
        let mut second = self::client(&proxy);
        second.write_all(b"needle").unwrap();
        receive(&mut second, b"needle").unwrap();
    }

    #[test]
    fn replies_can_be_held_from_a_needle_on() {
        let proxy = echo();
        proxy.when_sent(b"needle", Fault::StallReplies);
        let mut client = client(&proxy);
        client.write_all(b"needle").unwrap();
        assert!(matches!(client.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock));
        proxy.resume();
        receive(&mut client, b"needle").unwrap();
    }

    #[test]
    fn nothing_is_left_of_one_that_refused_to_the_end() {
        // Whether the acceptor or the drop is first is for the system to say, so it is tried many times.
        for _ in 0..100 {
            let proxy = echo();
            proxy.refuse();
            let shared = Arc::clone(&proxy.shared);
            drop(proxy);
            until(|| Arc::strong_count(&shared) == 1);
        }
    }

    #[test]
    fn it_refuses_and_accepts_again() {
        let proxy = echo();
        proxy.refuse();
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        proxy.accept();
        let mut client = client(&proxy);
        client.write_all(b"hello").unwrap();
        receive(&mut client, b"hello").unwrap();
    }
}
