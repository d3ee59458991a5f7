//! Connections by TLS.

use monitoring_core::Monitoring;
use monitoring_core::otlp::OtlpProtocol;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::collector::{Certificate, Collector, Identity, Protocol};
use super::service::{SHORTER_THAN_A_PAUSE, Service, quick};
use super::until;

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for that name, and its key, as PEM.
fn certificate(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// An authority, and a collector that has its certificate.
fn authority() -> (String, Collector) {
    let issuer = issuer();
    let (certificate, key) = certificate(&issuer, "localhost");
    (issuer.pem(), Collector::start(Protocol::GrpcOverTls(Identity::from_pem(certificate, key))))
}

#[test]
fn a_collector_with_a_certificate_of_the_given_authority_is_trusted() {
    let (pem, collector) = authority();
    let service = Service::new(quick().protocol(OtlpProtocol::Grpc).endpoint(collector.url()).certificate(pem));
    service.work(1);
    until("points have arrived", || service.monitoring.otlp_status().unwrap().sent > 0);
    assert!(!collector.received().is_empty());
}

#[test]
fn a_collector_that_asks_who_it_is_gets_the_certificate_that_was_given() {
    let issuer = issuer();
    let (pem, key) = certificate(&issuer, "localhost");
    let authority = Certificate::from_pem(issuer.pem());
    let collector = Collector::start(Protocol::GrpcOverMutualTls(Identity::from_pem(pem, key), authority));
    let config = quick().protocol(OtlpProtocol::Grpc).endpoint(collector.url()).certificate(issuer.pem());

    let nobody = Service::new(config.clone().export_timeout(SHORTER_THAN_A_PAUSE));
    until("points are lost", || {
        let status = nobody.monitoring.otlp_status().unwrap();
        status.dropped + status.unanswered > 0
    });
    assert!(collector.received().is_empty());

    let (pem, key) = certificate(&issuer, "billing");
    let service = Service::new(config.clone().client_identity(pem.clone(), key));
    until("points have arrived", || service.monitoring.otlp_status().unwrap().sent > 0);

    let (_, other_key) = certificate(&issuer, "billing");
    let error = Monitoring::builder("acme").otlp(config.client_identity(pem, other_key)).build().unwrap_err();
    assert!(error.to_string().contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{error}");
}

#[test]
fn any_other_collector_gets_nothing() {
    let (_, collector) = authority();
    let (other, _other_collector) = authority();
    let config = quick().protocol(OtlpProtocol::Grpc).endpoint(collector.url()).export_timeout(SHORTER_THAN_A_PAUSE);
    // One that trusts another authority, and one that trusts the system's.
    for config in [config.clone().certificate(other), config] {
        let service = Service::new(config);
        service.work(1);
        until("points are lost", || service.monitoring.otlp_status().unwrap().dropped > 0);
        assert_eq!(service.monitoring.otlp_status().unwrap().sent, 0);
    }
    assert!(collector.received().is_empty());
}
