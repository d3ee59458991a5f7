//! `#[job]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, ItemFn, LitStr, Result, ReturnType, Token, Type, parse_quote};

/// What is in the parentheses: `name = …, tenant = …, attempt = …`, each of them optional.
#[derive(Default)]
pub(crate) struct Options {
    name: Option<Expr>,
    tenant: Option<Expr>,
    attempt: Option<Expr>,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let Ok(key) = input.parse::<Ident>() else {
                return Err(input.error("expected `name = \"…\"`, `tenant = …` or `attempt = …`"));
            };
            let option = match key.to_string().as_str() {
                "name" => &mut options.name,
                "tenant" => &mut options.tenant,
                "attempt" => &mut options.attempt,
                _ => return Err(Error::new_spanned(key, "a job has `name`, `tenant` and `attempt`, and nothing else")),
            };
            if option.is_some() {
                return Err(Error::new_spanned(&key, format!("`{key}` is there twice")));
            }
            input.parse::<Token![=]>()?;
            *option = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

pub(crate) fn expand(options: Options, mut function: ItemFn) -> Result<TokenStream> {
    if function.sig.asyncness.is_none() {
        return Err(Error::new_spanned(
            function.sig.fn_token,
            "a job is an `async fn`: work that blocks belongs into `spawn_blocking` within one",
        ));
    }
    let output = output(&function.sig.output)?;
    if let Some(name) = options.name.as_ref().filter(|name| !may_be_constant(name)) {
        return Err(Error::new_spanned(
            name,
            "the name of a job is a text in quotes or the path of a `const`: it becomes the label `job_name`",
        ));
    }
    let name = options.name.unwrap_or_else(|| {
        let name = LitStr::new(&function.sig.ident.to_string().replace('_', "-"), function.sig.ident.span());
        parse_quote!(#name)
    });
    // A text is checked also where the function is never called.
    let check =
        matches!(name, Expr::Lit(_)).then(|| quote!(const _: &str = ::monitoring_core::job::checked_name(#name);));
    let tenant = options.tenant.map(|tenant| quote!(.tenant(#tenant)));
    let attempt = options.attempt.map(|attempt| quote!(.attempt(#attempt)));
    let body = function.block.clone();
    *function.block = parse_quote!({
        #check
        ::monitoring_core::job::job(const { ::monitoring_core::job::checked_name(#name) })
            #tenant
            #attempt
            .run(async move {
                // Tells the compiler what `?` and `return` in the body return.
                if let Some(output) = ::core::option::Option::None::<#output> {
                    return output;
                }
                #body
            })
            .await
    });
    Ok(quote!(#function))
}

/// Whether it is written like a constant. Whether it is one is for the compiler to say.
fn may_be_constant(name: &Expr) -> bool {
    matches!(name, Expr::Lit(_) | Expr::Path(_))
        || matches!(name, Expr::Macro(name) if name.mac.path.is_ident("concat"))
}

fn output(output: &ReturnType) -> Result<Type> {
    match output {
        ReturnType::Default => Ok(parse_quote!(())),
        ReturnType::Type(_, output) if matches!(**output, Type::ImplTrait(_)) => {
            Err(Error::new_spanned(output, "a job returns a type with a name, such as `Result<(), Error>`"))
        }
        ReturnType::Type(_, output) => Ok((**output).clone()),
    }
}
