//! `#[derive(LabelSet)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            Fields::Unit | Fields::Unnamed(_) => {
                return Err(Error::new_spanned(&input.ident, "a label set needs named fields: each names a label"));
            }
        },
        Data::Enum(_) | Data::Union(_) => {
            return Err(Error::new_spanned(&input.ident, "a label set is a struct: each field is a label"));
        }
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a label set cannot be generic"));
    }
    for field in fields {
        match field.ident.as_ref().map(|name| name.unraw().to_string()).as_deref() {
            Some("tenant") => {
                return Err(Error::new_spanned(
                    field,
                    "the tenant is no field of a label set: record into a tenant family, which takes a `Tenant`",
                ));
            }
            Some("le") => {
                return Err(Error::new_spanned(
                    field,
                    "`le` is the label of a histogram's buckets: name this one otherwise",
                ));
            }
            _ => {}
        }
    }

    let name = &input.ident;
    let members: Vec<_> = fields.iter().filter_map(|field| field.ident.as_ref()).collect();
    let names: Vec<String> = members.iter().map(|member| member.unraw().to_string()).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    Ok(quote! {
        const _: () = {
            assert!(
                0 #(+ <#types as ::monitoring_core::LabelValue>::BITS)* <= ::monitoring_core::LABEL_SET_BITS,
                "the values of a label set must fit into 63 bits: use fewer or smaller labels",
            );
        };

        // Not a suggestion for somebody else's metric.
        #[diagnostic::do_not_recommend]
        impl ::monitoring_core::LabelSet for #name {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            #[inline]
            fn key(self) -> u64 {
                let key = 0;
                #(
                    let key = (key << <#types as ::monitoring_core::LabelValue>::BITS)
                        | (<#types as ::monitoring_core::LabelValue>::id(self.#members)
                            & ((1 << <#types as ::monitoring_core::LabelValue>::BITS) - 1));
                )*
                key
            }

            fn visit(
                self,
                symbols: &::monitoring_core::Symbols,
                visitor: &mut dyn FnMut(&'static str, &str),
            ) {
                #(visitor(#names, &<#types as ::monitoring_core::LabelValue>::text(self.#members, symbols));)*
            }
        }
    })
}
