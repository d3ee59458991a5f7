//! How the service ends.

use std::time::{Duration, Instant};

use monitoring_core::Monitoring;
use monitoring_core::health::Drain;
use saas::serve;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::bench::Bench;

/// What is as small as the system allows, so that an answer does not fit into the buffers between server and client.
fn socket_of_small_buffers() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(1).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    socket
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_keep_the_service_from_stopping() {
    let bench = Bench::start().await;
    let token = bench.token("acme-0000").await;
    for _ in 0..50 {
        bench.project(&token, &"🌕".repeat(200)).await;
    }
    let socket = socket_of_small_buffers();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, told_to_stop) = oneshot::channel::<()>();
    let deadline = Duration::from_millis(100);
    // A monitoring of its own, since the one of this process goes on being ready for other tests.
    let monitoring = Monitoring::builder("stopping").build().unwrap();
    let drain = Drain::of(&monitoring).delay(Duration::ZERO).deadline(deadline);
    let draining = drain.when(async { told_to_stop.await.unwrap() }).unwrap();

    let client = async {
        let mut connection = socket_of_small_buffers().connect(address).await.unwrap();
        let request = format!("GET /api/v1/projects HTTP/1.1\r\nhost: saas\r\nauthorization: Bearer {token}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        // The answer has begun; its rest waits for a client that never reads.
        connection.readable().await.unwrap();
        stop.send(()).unwrap();
        (connection, Instant::now())
    };
    let both = async { tokio::join!(client, serve(&bench.app, listener, &draining)) };
    let ((_connection, told), served) = timeout(Duration::from_secs(30), both).await.unwrap();
    served.unwrap();
    assert!(told.elapsed() >= deadline, "the client was not in the way");
}
