//! `#[derive(LabelValue)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Variant};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "a label value is an enum without fields: a label must have few values, all known when compiling",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a label value cannot be generic"));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a label value needs at least one variant"));
    }

    let texts = data.variants.iter().map(text).collect::<Result<Vec<_>>>()?;
    for (position, variant) in data.variants.iter().enumerate() {
        let twin = texts.iter().take(position).any(|earlier| Some(earlier) == texts.get(position));
        if twin {
            return Err(Error::new_spanned(variant, "another variant has the same label text"));
        }
    }

    let name = &input.ident;
    let variants: Vec<&Ident> = data.variants.iter().map(|variant| &variant.ident).collect();
    let ids = 0..variants.len() as u64;
    let bits = usize::BITS - (variants.len() - 1).leading_zeros();
    Ok(quote! {
        // Not a suggestion for somebody else's label.
        #[diagnostic::do_not_recommend]
        impl ::monitoring_core::LabelValue for #name {
            const BITS: u32 = #bits;

            #[inline]
            fn id(self) -> u64 {
                match self { #(Self::#variants => #ids,)* }
            }

            fn text(self, _symbols: &::monitoring_core::Symbols) -> ::std::borrow::Cow<'_, str> {
                ::std::borrow::Cow::Borrowed(match self { #(Self::#variants => #texts,)* })
            }
        }
    })
}

/// The label text of a variant: what `#[label("…")]` says, else its name in snake case.
fn text(variant: &Variant) -> Result<String> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new_spanned(
            &variant.fields,
            "a label value carries no data: what varies without bound belongs into a log or a span",
        ));
    }
    match variant.attrs.iter().find(|attribute| attribute.path().is_ident("label")) {
        Some(attribute) => Ok(attribute.parse_args::<LitStr>()?.value()),
        None => Ok(snake_case(&variant.ident.unraw().to_string())),
    }
}

fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (position, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && position > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}
