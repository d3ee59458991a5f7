//! Checks of certificates, and pages by https.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use monitoring_core::health::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use monitoring_core::health::rustls::{RootCertStore, ServerConfig, crypto};
use monitoring_core::health::{HttpGet, Reason, Status, TlsCertificate};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{first, reason};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn trusting(issuer: &Issuer) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    roots
}

/// A server on the loopback interface whose certificate is that of `name` and ends then.
async fn server(issuer: &Issuer, name: &str, not_after: SystemTime) -> SocketAddr {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = (SystemTime::now() - 90 * DAY).into();
    params.not_after = not_after.into();
    let key = KeyPair::generate().unwrap();
    let certificate: CertificateDer<'static> = params.signed_by(&key, issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = acceptor.accept(connection).await else { return };
                let mut head = [0; 1024];
                if matches!(connection.read(&mut head).await, Ok(1..)) {
                    let _ = connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                }
            });
        }
    });
    address
}

fn certificate(address: SocketAddr) -> TlsCertificate {
    TlsCertificate::new(&address.to_string()).unwrap().server_name("localhost")
}

#[tokio::test]
async fn a_certificate_is_well_until_its_last_days_and_down_after_them() {
    let issuer = issuer();
    let now = SystemTime::now();
    let cases = [
        (now + 60 * DAY, Status::Up, None),
        (now + 10 * DAY + DAY / 2, Status::Degraded, Some(Reason::CertificateExpiresSoon)),
        (now - DAY, Status::Down, Some(Reason::CertificateExpired)),
    ];
    for (not_after, status, found) in cases {
        let address = server(&issuer, "localhost", not_after).await;
        for check in [certificate(address), certificate(address).verified_by(trusting(&issuer))] {
            let (monitoring, report) = first(check).await;
            assert_eq!((report.status, reason(&report)), (status, found));
            let seconds = not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            let line =
                format!("saas_tls_certificate_not_after_timestamp_seconds{{endpoint=\"{address}\"}} {seconds}\n");
            assert!(monitoring.render().contains(&line), "{line}{}", monitoring.render());
            if status == Status::Degraded {
                assert_eq!(report.problem.unwrap().detail(), Some("10 days left"));
            }
        }
    }
}

#[tokio::test]
async fn a_chain_is_verified_only_if_that_is_asked_for() {
    let (ours, another) = (issuer(), issuer());
    let not_after = SystemTime::now() + 60 * DAY;
    let address = server(&ours, "localhost", not_after).await;
    assert_eq!(first(certificate(address)).await.1.status, Status::Up);
    for check in [certificate(address).verified_by(trusting(&another)), certificate(address).verified()] {
        let (_monitoring, report) = first(check).await;
        assert_eq!((report.status, reason(&report)), (Status::Down, Some(Reason::CertificateNotTrusted)));
    }
    let elsewhere = server(&ours, "elsewhere.example", not_after).await;
    let (_monitoring, report) = first(certificate(elsewhere).verified_by(trusting(&ours))).await;
    assert_eq!(report.problem.unwrap().to_string(), "certificate_not_trusted: it is of another host");
}

#[tokio::test]
async fn what_speaks_no_tls_has_no_certificate() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.write_all(b"220 mail.example ESMTP\r\n").await;
        }
    });
    let (monitoring, report) = first(certificate(address)).await;
    assert_eq!(report.status, Status::Down);
    assert!(matches!(reason(&report), Some(Reason::Tls | Reason::ConnectionLost)), "{report:?}");
    assert!(!monitoring.render().contains("not_after_timestamp_seconds{"));
}

#[tokio::test]
async fn a_page_by_https_is_asked_for_only_where_the_certificate_is_trusted() {
    let issuer = issuer();
    let address = server(&issuer, "localhost", SystemTime::now() + 60 * DAY).await;
    let page = || HttpGet::new(&format!("https://localhost:{}/healthz", address.port())).unwrap();
    let (monitoring, report) = first(page().trusting(trusting(&issuer))).await;
    assert_eq!((report.status, monitoring.is_ready()), (Status::Up, true));
    let (_monitoring, report) = first(page()).await;
    assert_eq!(reason(&report), Some(Reason::CertificateNotTrusted));
    let expired = server(&issuer, "localhost", SystemTime::now() - DAY).await;
    let page = HttpGet::new(&format!("https://localhost:{}/", expired.port())).unwrap();
    let (_monitoring, report) = first(page.trusting(trusting(&issuer))).await;
    assert_eq!(reason(&report), Some(Reason::CertificateExpired));
}
